"""Pieces become a datagram if they are of one, in little time and memory, and a copy is no loss."""

from __future__ import annotations

import struct
from pathlib import Path

from rx_multicast_ipc.capture import Reader
from rx_multicast_ipc.capture.ip_reassembly import Fragments

from .packets import ipv4, pcap, saved, udp


def pieces(letter: bytes) -> list[bytes]:
    whole = udp(letter * 100)
    return [ipv4(whole[:48], identification=7, fragment=0x2000), ipv4(whole[48:], identification=7, fragment=6)]


def read(folder: Path, *frames: bytes, gap: int = 0) -> tuple[list[bytes], dict[str, int]]:
    with Reader(saved(folder, pcap(*frames, gap=gap))) as reader:
        return [message.data for message, _ in reader], reader.progress.skipped


def test_pieces_of_different_times_are_of_different_datagrams(tmp_path: Path) -> None:
    late = pieces(b"A")[1]
    assert read(tmp_path, late, *pieces(b"B"), gap=31 * 10**9) == ([], {"a piece is missing": 3})
    assert read(tmp_path, late, pieces(b"B")[0], gap=31 * 10**9) == ([], {"a piece is missing": 2})


def test_every_piece_captured_twice_is_no_loss(tmp_path: Path) -> None:
    first, second = pieces(b"D")
    assert read(tmp_path, first, first, second, second) == ([b"D" * 100], {})


def test_a_wrong_checksum_is_counted(tmp_path: Path) -> None:
    whole = struct.pack("!HHHH", 1, 2, 108, 0x1234) + b"x" * 100
    first = ipv4(whole[:48], identification=7, fragment=0x2000)
    assert read(tmp_path, first, ipv4(whole[48:], identification=7, fragment=6)) == (
        [],
        {"pieces do not belong together": 1},
    )


def test_what_waits_is_bounded_in_bytes() -> None:
    fragments = Fragments()
    for key in range(1000):
        fragments.add(key, 0, True, bytes(60_000), 0)
    assert fragments.waiting < 300
    assert fragments.lost + fragments.waiting == 1000
