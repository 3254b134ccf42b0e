"""Fragments become the datagram that was sent, or are counted as lost: never anything else."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.capture import Reader
from rx_multicast_ipc.capture.ip_reassembly import Fragment, Reassembly

from .packets import (
    GROUP,
    GROUP6,
    HELLO,
    RAW,
    SLL2,
    cooked2,
    enhanced,
    fragments,
    fragments6,
    interface,
    ipv4,
    ipv6,
    pcap,
    saved,
    section,
    udp,
    udp_between,
)

BIG = bytes(range(256)) * 16
OTHER = BIG[::-1]
MISSING = "a piece is missing"
OVERLAP = "pieces overlap"
WRONG = "put together from pieces with a wrong checksum"
CUTS = pytest.mark.parametrize("cut", [fragments, fragments6])


def read(folder: Path, *packets: bytes | tuple[float, bytes], link: int = RAW) -> tuple[list[bytes], dict[str, int]]:
    """Payloads, and what was skipped."""
    return of_file(saved(folder, pcap(*packets, link=link)))


def of_file(path: Path) -> tuple[list[bytes], dict[str, int]]:
    with Reader(path) as reader:
        return [message.data for message, _ in reader], reader.progress.skipped


def at(time: float, packets: list[bytes]) -> list[tuple[float, bytes]]:
    return [(time, packet) for packet in packets]


@CUTS
@given(data=st.data())
def test_fragments_are_put_together_in_whatever_order_they_come(cut: Any, data: st.DataObject) -> None:
    frames = data.draw(st.permutations(cut(BIG, 1480) + cut(OTHER, 1480, identification=8)))
    with TemporaryDirectory() as folder:
        found, skipped = read(Path(folder), *frames)
    assert sorted(found) == sorted([BIG, OTHER])
    assert skipped == {}


@CUTS
@given(data=st.data())
def test_copies_of_fragments_make_no_other_datagram_and_are_no_loss(cut: Any, data: st.DataObject) -> None:
    pieces = cut(BIG, 1480)
    times = data.draw(st.lists(st.integers(1, 4), min_size=len(pieces), max_size=len(pieces)))
    frames = data.draw(st.permutations([p for p, n in zip(pieces, times, strict=True) for _ in range(n)]))
    with TemporaryDirectory() as folder:
        found, skipped = read(Path(folder), *frames)
    assert 1 <= len(found) <= min(times)
    assert set(found) == {BIG}
    assert skipped == {}


@CUTS
def test_a_datagram_that_came_twice_comes_out_twice_and_one_of_which_each_fragment_came_twice_once(
    tmp_path: Path, cut: Any
) -> None:
    pieces = cut(BIG, 1480)
    assert read(tmp_path, *pieces, *pieces) == ([BIG, BIG], {})
    assert read(tmp_path, *[piece for piece in pieces for _ in range(2)]) == ([BIG], {})


def test_a_late_copy_of_a_fragment_does_not_harm_the_next_datagram_of_the_same_identification(tmp_path: Path) -> None:
    first = fragments(BIG, 1480)
    assert read(tmp_path, *first, first[0], *fragments(OTHER, 1480)) == ([BIG, OTHER], {})


@CUTS
def test_fragments_of_different_times_never_become_one_datagram(tmp_path: Path, cut: Any) -> None:
    hour = 3600.0
    head, tail = cut(b"A" * 100, 48)[0], cut(b"A" * 100, 48)[1:]
    assert read(tmp_path, *at(0, tail), *at(hour, cut(b"B" * 100, 48)), *at(2 * hour, cut(b"C" * 100, 48))) == (
        [b"B" * 100, b"C" * 100],
        {MISSING: 1},
    )
    assert read(tmp_path, (100, head), *at(131, tail)) == ([], {MISSING: 2})
    assert read(tmp_path, (100, head), *at(129, tail)) == ([b"A" * 100], {})
    assert read(tmp_path, (1000, head), *at(100, tail)) == ([], {MISSING: 2})  # the capture's clock was set back


@CUTS
def test_fragments_of_different_datagrams_of_one_identification_are_refused_by_their_checksum(
    tmp_path: Path, cut: Any
) -> None:
    mixed = [*cut(b"A" * 100, 48)[:1], *cut(b"B" * 100, 48)[1:]]
    assert read(tmp_path, *mixed, HELLO) == ([b"hello"], {WRONG: 1})


def test_no_checksum_is_no_wrong_one(tmp_path: Path) -> None:
    assert read(tmp_path, *fragments(b"", 48, whole=udp(b"A" * 100))) == ([b"A" * 100], {})


def test_a_datagram_that_came_whole_is_taken_whatever_its_checksum(tmp_path: Path) -> None:
    damaged = bytearray(ipv4(udp_between("10.0.0.1", GROUP, b"hello")))
    damaged[26:28] = b"\x12\x34"  # as where the network card computes it
    assert read(tmp_path, bytes(damaged)) == ([b"hello"], {})


@pytest.mark.parametrize("length", [0, 7, 107, 109, 65_535])
def test_the_length_in_udp_is_looked_at_after_reassembly(tmp_path: Path, length: int) -> None:
    whole = bytearray(udp(b"A" * 100))
    whole[4:6] = struct.pack("!H", length)
    found, skipped = read(tmp_path, *fragments(b"", 48, whole=bytes(whole)))
    assert (found, skipped) == (([b"A" * 99], {}) if length == 107 else ([], {"malformed": 1}))


@pytest.mark.parametrize("offset", [8, 1472, 1488, 2952])
def test_overlapping_fragments_cost_their_datagram_and_what_still_comes_of_it(tmp_path: Path, offset: int) -> None:
    first, second, third = fragments(BIG, 1480)
    overlapping = ipv4(bytes(16), identification=7, fragment=offset // 8 | 0x2000)
    for frames in (
        [first, overlapping, second, third],
        [overlapping, first, second, third],
        [third, second, overlapping, first],
    ):
        assert read(tmp_path, *frames, first, HELLO) == ([b"hello"], {OVERLAP: 1})


def test_two_ends_cost_their_datagram(tmp_path: Path) -> None:
    first, second, third = fragments(BIG, 1480)
    other_end = ipv4(bytes(8), identification=7, fragment=4000 // 8)
    assert read(tmp_path, other_end, first, second, third) == ([], {OVERLAP: 1})


def test_the_next_datagram_of_an_identification_that_was_refused_is_read_when_its_time_is_over(tmp_path: Path) -> None:
    first, second, third = fragments(BIG, 1480)
    overlapping = ipv4(bytes(1480), identification=7, fragment=185 | 0x2000)
    refused = at(1, [first, second, overlapping, third])
    assert read(tmp_path, *refused, *at(40, fragments(OTHER, 1480))) == ([OTHER], {OVERLAP: 1})


@pytest.mark.parametrize("piece", [ipv4(bytes(13), fragment=0x2000), ipv4(bytes(1480), fragment=8191)])
def test_a_fragment_that_no_datagram_can_have_is_malformed(tmp_path: Path, piece: bytes) -> None:
    assert read(tmp_path, piece) == ([], {"malformed": 1})


def test_fragments_of_other_protocols_are_not_waited_for(tmp_path: Path) -> None:
    tcp6 = ipv6(struct.pack("!BxHI", 6, 1, 7) + bytes(64), kind=44)
    assert read(tmp_path, ipv4(bytes(64), protocol=6, fragment=0x2000), tcp6) == ([], {"not UDP": 2})


def test_the_first_fragment_says_what_an_ipv6_datagram_is_and_options_may_be_in_it(tmp_path: Path) -> None:
    options = bytes([17, 0]) + bytes(6)
    whole = options + udp_between("fe80::1", GROUP6, b"F" * 40)
    head = ipv6(struct.pack("!BxHI", 60, 1, 7) + whole[:48], kind=44)
    tail = ipv6(struct.pack("!BxHI", 17, 48, 7) + whole[48:], kind=44)
    assert read(tmp_path, head, tail) == ([b"F" * 40], {})
    assert read(tmp_path, tail, head) == ([b"F" * 40], {})


def test_fragments_within_a_datagram_that_was_put_together_are_not_followed(tmp_path: Path) -> None:
    inner = struct.pack("!BxHI", 44, 0, 5) + struct.pack("!BxHI", 17, 1, 6) + udp(b"A" * 40)
    head = ipv6(struct.pack("!BxHI", 60, 1, 7) + bytes([44, 0]) + bytes(6) + inner[:40], kind=44)
    tail = ipv6(struct.pack("!BxHI", 60, 48, 7) + inner[40:], kind=44)
    assert read(tmp_path, head, tail)[0] == []


def test_each_interface_puts_together_its_own_fragments(tmp_path: Path) -> None:
    first, second = fragments(b"A" * 100, 64)
    cooked = [
        struct.pack("!HHI", 0x0800, 0, number) + cooked2(packet)[8:] for packet in (first, second) for number in (1, 2)
    ]
    assert read(tmp_path, *cooked, link=SLL2) == ([b"A" * 100] * 2, {})

    two = section() + interface(RAW) + interface(RAW)
    content = two + b"".join(enhanced(packet, 1, interface=number) for packet in (first, second) for number in (0, 1))
    assert of_file(saved(tmp_path, content)) == ([b"A" * 100] * 2, {})
    apart = two + enhanced(first, 1) + enhanced(second, 1, interface=1)
    assert of_file(saved(tmp_path, apart)) == ([], {MISSING: 2})


def test_what_waits_is_bounded_in_number_and_the_latest_are_kept(tmp_path: Path) -> None:
    starts = [fragments(BIG, 1480, number)[0] for number in range(10_000)]
    found, skipped = read(tmp_path, *starts, *fragments(BIG, 1480, 9_999)[1:])
    assert (found, skipped) == ([BIG], {MISSING: 9_999})


def test_what_waits_and_what_is_remembered_is_bounded_in_bytes() -> None:
    reassembly = Reassembly()
    tracemalloc.start()
    try:
        for number in range(1500):
            reassembly.add(number, 0, 0, Fragment(0, True, bytes([number % 256]) * 64_000, 17))
            reassembly.add(-1 - number, 1, 0, Fragment(0, False, bytes([number % 256]) * 64_000, 17))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20
    assert reassembly.lost[MISSING] + reassembly.incomplete == 1500


def seconds_for(count: int) -> float:
    """What it costs to read so many fragments of 8 bytes, of as few datagrams as can be, each incomplete."""
    pieces = [Fragment(at * 8, True, b"12345678", 17) for at in range(8000)]
    reassembly = Reassembly()
    began = time.process_time()
    for number in range(count):
        reassembly.add(number // 8000, 0, 0, pieces[number % 8000])
    return time.process_time() - began


@pytest.mark.quiet_machine
def test_the_cost_of_tiny_fragments_grows_with_their_number_alone() -> None:
    assert any(seconds_for(8000) < 30 * max(seconds_for(800), 1e-4) for _ in range(5))


@pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark(1)")
def test_tshark_puts_the_same_datagrams_together(tmp_path: Path) -> None:
    frames = [*fragments(BIG, 1480), *fragments6(OTHER, 1480), *fragments(OTHER, 800, 9)[::-1], HELLO]
    path = saved(tmp_path, pcap(*frames))
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-Y", "udp", "-T", "fields", "-e", "udp.payload"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [bytes.fromhex(line) for line in done.stdout.split()] == of_file(path)[0]
