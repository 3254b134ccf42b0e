"""The text protocol of NATS clients, as bytes in and out: https://docs.nats.io/reference/reference-protocols/nats-protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, cast

from ....option_values.engines import LARGEST_ON_ENGINES
from ....strangers.decoding import whole_or_none

_LONGEST_LINE: Final = 1 << 20

_THOUSAND: Final = 1000
_ENDS: Final = tuple(b"%03d" % end for end in range(_THOUSAND))
"""The last three digits of any number. Those below 1000 have zeros before them."""

_PARTS: Final = 4
"""Pieces of bytes that a published message is joined of; the end of its line is in the next one's first."""


class Delivered(NamedTuple):
    """A message: the number of the subscription that it came by, its subjects, headers (or nothing) and payload."""

    sid: bytes
    subject: bytes
    reply: bytes
    headers: bytes
    payload: bytes


_delivered: Callable[[tuple[bytes, bytes, bytes, bytes, bytes]], Delivered] = partial(tuple.__new__, Delivered)  # pyright: ignore[reportUnknownMemberType]
"""A third of what it costs to call the class, once a message."""


class Said(NamedTuple):
    """Anything else: ``PING``, ``PONG``, ``INFO``, ``-ERR``, and what stands behind it."""

    what: bytes
    text: bytes


_LARGEST: Final = LARGEST_ON_ENGINES + _LONGEST_LINE
"""Bytes of a payload and its headers: what is said to be larger is never waited for."""


class NotNats(Exception):
    """Bytes that no NATS server says."""


class Parser:
    """Cuts what a server says into messages."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> list[Delivered | Said]:
        """What is complete with ``data``, in order; raises ``NotNats``."""
        self._missing -= len(data)
        self._chunks.append(data)
        if self._missing > 0:  # of a large message, which is put together once
            return []
        self._missing = 0
        buffer = data if len(self._chunks) == 1 else b"".join(self._chunks)
        found: list[Delivered | Said] = []
        place, size = 0, len(buffer)
        while (end := buffer.find(b"\r\n", place)) >= 0:
            line = buffer[place:end]
            kind = line[:4]
            if kind == b"MSG ":
                words = line.split()
                start = end + 2
                stop = start + _size(words[-1])
                if stop + 2 > size:
                    self._missing = stop + 2 - size
                    break
                reply = words[3] if len(words) == 5 else b""
                found.append(_delivered((words[2], words[1], reply, b"", buffer[start:stop])))
                place = stop + 2
            elif kind == b"HMSG":
                words = line.split()
                start = end + 2
                middle, stop = start + _size(words[-2]), start + _size(words[-1])
                if middle > stop:
                    raise NotNats(_quoted(line))
                if stop + 2 > size:
                    self._missing = stop + 2 - size
                    break
                reply = words[3] if len(words) == 6 else b""
                found.append(Delivered(words[2], words[1], reply, buffer[start:middle], buffer[middle:stop]))
                place = stop + 2
            else:
                what, _, text = line.partition(b" ")
                if what.upper() not in (b"PING", b"PONG", b"INFO", b"-ERR", b"+OK"):
                    raise NotNats(_quoted(line))
                found.append(Said(what.upper(), text))
                place = end + 2
        rest = buffer[place:]
        self._chunks = [rest] if rest else []
        if len(rest) > _LONGEST_LINE and self._missing <= 0:
            raise NotNats(_quoted(rest))
        return found


def _quoted(line: bytes) -> str:
    return f"it said {line[:80]!r}, which no NATS server does"


def _size(word: bytes) -> int:
    """How many bytes follow, as a server says it."""
    size = whole_or_none(word)
    if size is None or size > _LARGEST:
        raise NotNats(_quoted(word))
    return size


def publish(subject: bytes, reply: bytes, number: int, payloads: Sequence[bytes]) -> bytes:
    """``payloads``, each with its running number, from ``number`` on, behind ``reply``.

    For many, nothing is made for each: what is the same of all is a list that is multiplied, the ends of their numbers
    are there already, and one join makes the bytes.
    """
    head = b"PUB %b %b" % (subject, reply)
    if len(payloads) == 1:
        return b"%b%d %d\r\n%b\r\n" % (head, number, len(payloads[0]), payloads[0])
    sizes = list(map(len, payloads))
    are_equal = sizes.count(sizes[0]) == len(sizes)
    written: list[bytes] = []
    place = 0
    while place < len(payloads):
        thousands, rest = divmod(number + place, _THOUSAND)
        some = payloads[place : place + _THOUSAND - rest]
        before = b"\r\n%b%d" % (head, thousands) if thousands else b"\r\n%b" % head
        parts = [before, b"", b" %d\r\n" % len(some[0]), b""] * len(some)
        parts[1::_PARTS] = _ENDS[rest : rest + len(some)]
        if not are_equal:
            parts[2::_PARTS] = [b" %d\r\n" % size for size in sizes[place : place + len(some)]]
        parts[3::_PARTS] = some
        written += parts
        place += len(some)
    written[0] = written[0][2:]
    written.append(b"\r\n")
    return b"".join(written)


def publish_with_id(subject: bytes, reply: bytes, identity: str, payload: bytes) -> bytes:
    """One message that a stream keeps once, however often it is sent."""
    headers = b"NATS/1.0\r\nNats-Msg-Id: %b\r\n\r\n" % identity.encode()
    sizes = len(headers), len(headers) + len(payload)
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (subject, reply, *sizes, headers, payload)


def status(headers: bytes) -> int:
    """The status that headers begin with, such as 503; 0 for none."""
    word = headers[9:12]
    return int(word) if headers.startswith(b"NATS/1.0 ") and word.isdigit() else 0


def request(subject: bytes, reply: bytes, payload: bytes) -> bytes:
    """One message without a number."""
    return b"PUB %b %b%b%d\r\n%b\r\n" % (subject, reply, b" " if reply else b"", len(payload), payload)


def header(headers: bytes, name: bytes) -> bytes:
    """The value of a header; empty if it is not there."""
    for line in headers.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name.lower():
            return value.strip()
    return b""


class Place(NamedTuple):
    """Where a message stands: its numbers in the stream and of the consumer, when it was stored, what is to come."""

    of_stream: int
    of_consumer: int
    at: float
    pending: int


def place_in_stream(reply: bytes) -> Place | None:
    """What JetStream says in the reply subject of what it delivers: ``$JS.ACK.`` and so on; None for anything else."""
    words = reply.split(b".")
    if len(words) < 9 or words[:2] != [b"$JS", b"ACK"]:
        return None
    numbers = [whole_or_none(word) for word in (words[5:9] if len(words) < 11 else words[7:11])]
    if None in numbers:
        return None
    of_stream, of_consumer, at, pending = cast("list[int]", numbers)
    return Place(of_stream, of_consumer, at / 1e9, pending)
