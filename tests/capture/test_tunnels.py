"""What carries IP is looked through; what is not looked into is told."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc import capture
from rx_multicast_ipc.capture import Reader

from ..helpers import Seen
from .packets import HELLO, HELLO6, NOON, RAW, enhanced, ethernet, interface, ipv4, ipv6, pcap, saved, section, simple

LLC = b"\xaa\xaa\x03\0\0\0\x08\0"
MPLS = struct.pack("!I", 16 << 12 | 0x100 | 64)


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (9, b"\xff\x03\0\x21" + HELLO),
        (9, b"\x21" + HELLO),
        (1, bytes(12) + b"\x88\x64\x11\0\0\1\0\0\0\x21" + HELLO),
        (1, bytes(12) + b"\x88\x47" + MPLS + HELLO),
        (RAW, ipv4(HELLO, protocol=4)),
        (RAW, ipv6(HELLO, kind=4)),
        (RAW, ipv4(struct.pack("!HH", 0, 0x800) + HELLO, protocol=47)),
        (RAW, ipv4(struct.pack("!HHIII", 0xB000, 0x800, 1, 2, 3) + HELLO, protocol=47)),
        (RAW, ipv4(struct.pack("!HH", 0, 0x6558) + ethernet(HELLO), protocol=47)),
        (127, b"\0\0\x08\0\0\0\0\0" + b"\x08\x02" + bytes(22) + LLC + HELLO),
        (105, b"\x88\x02" + bytes(24) + LLC + HELLO),
        (239, b"\x02\0\0\0" + struct.pack("<HH", len(HELLO) + 4, 9) + HELLO),
        (258, struct.pack("<III", 108, 1, 1) + bytes(96) + ethernet(HELLO)),
    ],
)
def test_every_carrier_of_ipv4_is_looked_through(tmp_path: Path, link: int, frame: bytes) -> None:
    with Reader(saved(tmp_path, pcap(frame, link=link))) as reader:
        assert [message.data for message, _ in reader] == [b"hello"], reader.progress


def test_ipv6_in_ipv4_is_looked_through(tmp_path: Path) -> None:
    with Reader(saved(tmp_path, pcap(ipv4(HELLO6, protocol=41)))) as reader:
        assert [message.data for message, _ in reader] == [b"hello"]


def test_what_is_not_looked_into_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ipc.run(capture.read(saved(tmp_path, pcap(HELLO, ipv4(bytes(20), protocol=50))), speed=None))
    assert "1 datagrams are missing: tunnel ESP, encrypted: 1" in caplog.text


def test_a_gzip_file_is_read_and_a_cut_one_gives_the_error(tmp_path: Path) -> None:
    packed = gzip.compress(pcap(HELLO, HELLO))
    with Reader(saved(tmp_path, packed)) as reader:
        assert len(list(reader)) == 2
    with pytest.raises(ipc.CaptureCorrupt), Reader(saved(tmp_path, packed[:-9])) as reader:
        list(reader)


def test_a_claim_of_three_gigabytes_is_a_damaged_file(tmp_path: Path) -> None:
    content = pcap(HELLO, snaplen=0x7FFFFFFF) + struct.pack("<IIII", 0, 0, 3 << 30, 3 << 30)
    with pytest.raises(ipc.CaptureCorrupt, match="claims"), Reader(saved(tmp_path, content)) as reader:
        list(reader)


def test_steps_of_the_captures_clock_take_no_time_and_change_no_other_gap(tmp_path: Path) -> None:
    times = [5.0, 5.2, NOON / 1e9, NOON / 1e9 + 0.2, 500.0, 500.5]
    packets = b"".join(enhanced(HELLO, round(time * 1e6)) for time in times)
    path = saved(tmp_path, section() + interface(RAW) + simple(HELLO) + packets)
    scheduler = TestScheduler()
    came: list[float] = []
    seen = Seen(capture.read(path, scheduler=scheduler))
    capture.read(path, scheduler=scheduler).subscribe(lambda _: came.append(scheduler.clock))
    scheduler.start()
    assert came == pytest.approx([0, 0, 0.2, 0.2, 0.4, 0.4, 0.9], abs=1e-5)
    assert [message.received_at for message in seen.values] == [0.0, *times]
