"""Damaged captures by the thousand: ``python -m tests.capture.fuzzing SEED COUNT`` reads so many, in 600 MB of memory.

A file that raises anything but a documented error is kept, and its name printed.
"""

from __future__ import annotations

import gzip
import random
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rx_multicast_ipc import capture
from rx_multicast_ipc.errors import CaptureCorrupt

from .packets import (
    HELLO,
    HELLO6,
    NOON,
    RAW,
    enhanced,
    fragments,
    fragments6,
    interface,
    obsolete,
    pcap,
    section,
    simple,
)
from .test_links_and_tunnels import READ

MEMORY = 600 << 20
"""Bytes of address space that reading may take."""

EXTREMES = [bytes([value]) * size for value in (0, 0x7F, 0x80, 0xFF) for size in (1, 2, 4, 8)]
PIECES = [*fragments(bytes(64), 24), *fragments6(bytes(64), 24)]


def originals() -> list[bytes]:
    """Captures of every kind, all in order."""
    frames = list(READ.values())
    whole = [pcap(*[frame for _, frame in frames if _ == link], link=link) for link in {link for link, _ in frames}]
    whole += [pcap(*PIECES, *PIECES), pcap(HELLO, HELLO6, order=">", nanoseconds=False)]
    for order in "<>":
        blocks = [enhanced(HELLO, NOON, order), simple(HELLO6, order), obsolete(HELLO, 1, order)]
        blocks += [enhanced(frame, NOON, order, interface=1 + at) for at, (_, frame) in enumerate(frames)]
        links = [interface(link, order) for link in (RAW, *[link for link, _ in frames])]
        whole.append(section(order) + b"".join(links + blocks))
    return whole


def damage(chance: random.Random, whole: bytes, others: list[bytes]) -> bytes:
    """``whole``, damaged in one place or in a few."""
    content = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0 | 1:
                content[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                extreme = chance.choice(EXTREMES)
                content[at : at + len(extreme)] = extreme
            case 3:
                del content[at : min(end, at + 64)]
            case 4:
                content[at:at] = content[at : min(end, at + 256)]
            case _:
                other = chance.choice(others)
                content[at:] = other[chance.randrange(len(other)) :]
    return bytes(content)


def damaged(chance: random.Random, whole: list[bytes]) -> bytes:
    """A capture that is damaged, or one of damaged packets; now and then it is packed, and that is damaged."""
    if chance.randrange(2):
        content = damage(chance, chance.choice(whole), whole)
    else:
        link, _ = chance.choice(list(READ.values()))
        frames = [frame for other, frame in READ.values() if other == link] + PIECES * (link == RAW)
        content = pcap(*[damage(chance, chance.choice(frames), frames) for _ in range(8)], link=link)
    if not chance.randrange(20):
        packed = bytearray(gzip.compress(content, 1))
        packed[chance.randrange(len(packed))] ^= chance.randrange(256)
        content = bytes(packed)
    return content


def outcomes(seed: int, count: int, path: Path) -> Iterator[str]:
    """What became of each file: ``read``, ``corrupt``, or what it should not have raised."""
    chance, whole = random.Random(seed), originals()
    for _ in range(count):
        path.unlink(missing_ok=True)  # to write over it would wait for the disk
        path.write_bytes(damaged(chance, whole))
        try:
            with capture.Reader(path) as reader:
                for message, _ in reader:
                    assert type(message.data) is bytes
                reader.progress.unread  # noqa: B018
        except CaptureCorrupt:
            yield "corrupt"
        except Exception as error:
            kept = Path(tempfile.gettempdir()) / f"fuzzed-{seed}-{type(error).__name__}.pcap"
            path.replace(kept)
            yield f"{error!r}: {kept}"
        else:
            yield "read"


def main(seed: str, count: str) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        became = Counter(outcomes(int(seed), int(count), Path(folder) / "given.pcap"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(*[f"{number} {what}" for what, number in became.most_common()], f"{peak} kB at most", sep="\n")
    return 0 if set(became) <= {"read", "corrupt"} else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
