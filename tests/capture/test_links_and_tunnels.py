"""A datagram is found on every link and in every tunnel that is read, and it is told where none can be."""

from __future__ import annotations

import gzip
import logging
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import capture

from .packets import (
    ETHERNET,
    GROUP,
    GROUP6,
    HELLO,
    HELLO6,
    PORT,
    RAW,
    SLL,
    SLL2,
    cooked,
    cooked2,
    enhanced,
    ethernet,
    fragments,
    interface,
    ipv4,
    ipv6,
    pcap,
    saved,
    section,
    udp,
)

MACS = bytes(12)


def of_type(protocol: int, payload: bytes) -> bytes:
    return MACS + struct.pack("!H", protocol) + payload


def outer(protocol: int, payload: bytes) -> bytes:
    return ipv4(payload, source="1.1.1.1", destination="2.2.2.2", protocol=protocol)


def outer6(protocol: int, payload: bytes) -> bytes:
    return ipv6(payload, source="2001:db8::1", destination="2001:db8::2", kind=protocol)


def gre(flags: int, protocol: int, rest: bytes) -> bytes:
    return outer(47, struct.pack("!HH", flags, protocol) + rest)


def mpls(packet: bytes, labels: int = 1) -> bytes:
    stack = [16 << 12 | 64 | (number == labels - 1) << 8 for number in range(labels)]
    return struct.pack(f"!{labels}I", *stack) + packet


def pppoe(packet: bytes, protocol: int = 0x21) -> bytes:
    return struct.pack("!BBHHH", 0x11, 0, 1, len(packet) + 2, protocol) + packet


SNAP = bytes.fromhex("aaaa03000000")


def wireless(payload: bytes, *, control: int = 0x0208, quality: bytes = b"", more: bytes = b"") -> bytes:
    return struct.pack("<H", control) + bytes(22) + more + quality + payload


def radiotap(frame: bytes, present: int = 0, fields: bytes = b"") -> bytes:
    return struct.pack("<BBHI", 0, 0, 8 + len(fields), present) + fields + frame


def nflog(packet: bytes, order: str = "<") -> bytes:
    mark = struct.pack(f"{order}HH", 7, 10) + b"ab\0\0"
    return b"\x02\0\0\0" + mark + struct.pack(f"{order}HH", len(packet) + 4, 9) + packet


def pktap(link: int, frame: bytes) -> bytes:
    return struct.pack("<III", 108, 1, link) + bytes(96) + frame


DATA = SNAP + b"\x08\0" + HELLO
DATA6 = SNAP + b"\x86\xdd" + HELLO6

READ = {
    "802.3 with SNAP": (ETHERNET, of_type(len(DATA), DATA)),
    "Q-in-Q of old": (ETHERNET, ethernet(HELLO, 0x9100, 0x8100)),
    "MPLS": (ETHERNET, of_type(0x8847, mpls(HELLO))),
    "MPLS, stacked": (ETHERNET, of_type(0x8847, mpls(HELLO6, 3))),
    "MPLS behind a VLAN": (ETHERNET, MACS + struct.pack("!HHH", 0x8100, 7, 0x8847) + mpls(HELLO)),
    "PPPoE": (ETHERNET, of_type(0x8864, pppoe(HELLO))),
    "PPPoE, IPv6": (ETHERNET, of_type(0x8864, pppoe(HELLO6, 0x57))),
    "provider backbone": (ETHERNET, of_type(0x88E7, bytes(4) + ethernet(HELLO))),
    "PPP": (9, b"\xff\x03\0\x21" + HELLO),
    "PPP, bare": (9, b"\0\x57" + HELLO6),
    "PPP, compressed protocol": (9, b"\xff\x03\x21" + HELLO),
    "PPP, HDLC": (50, b"\xff\x03\0\x21" + HELLO),
    "PPP, direction": (204, b"\0\xff\x03\0\x21" + HELLO),
    "PPPoE link": (51, pppoe(HELLO)),
    "Cisco HDLC": (104, b"\x0f\0\x08\0" + HELLO),
    "GRE": (RAW, gre(0, 0x0800, HELLO)),
    "GRE, IPv6": (RAW, gre(0, 0x86DD, HELLO6)),
    "GRE, all fields": (RAW, gre(0x3000, 0x0800, bytes(8) + HELLO)),
    "GRE, checksum": (RAW, gre(0x8000, 0x0800, bytes(4) + HELLO)),
    "GRE, PPTP": (RAW, gre(0x3081, 0x880B, struct.pack("!HHII", len(HELLO) + 4, 1, 1, 1) + b"\xff\x03\0\x21" + HELLO)),
    "GRE, bridged": (RAW, gre(0, 0x6558, ethernet(HELLO, 0x8100))),
    "GRE, MPLS": (RAW, gre(0, 0x8847, mpls(HELLO))),
    "ERSPAN": (RAW, gre(0x1000, 0x88BE, bytes(4) + struct.pack("!II", 0x10640000, 0) + ethernet(HELLO))),
    "4in4": (RAW, outer(4, HELLO)),
    "6in4": (RAW, outer(41, HELLO6)),
    "4in6": (RAW, outer6(4, HELLO)),
    "6in6": (RAW, outer6(41, HELLO6)),
    "GRE in IPv6": (RAW, outer6(47, struct.pack("!HH", 0, 0x0800) + HELLO)),
    "EtherIP": (RAW, outer(97, b"\x30\0" + ethernet(HELLO))),
    "MPLS in IP": (RAW, outer(137, mpls(HELLO))),
    "tunnel in a tunnel": (RAW, outer(4, gre(0, 0x0800, outer(41, HELLO6)))),
    "NFLOG": (239, nflog(HELLO)),
    "NFLOG, IPv6": (239, nflog(HELLO6)),
    "pktap, Ethernet": (258, pktap(1, ethernet(HELLO))),
    "pktap, raw": (258, pktap(12, HELLO)),
    "802.11": (105, wireless(DATA)),
    "802.11, four addresses": (105, wireless(DATA, control=0x0308, more=bytes(6))),
    "radiotap": (127, radiotap(wireless(DATA))),
    "radiotap, IPv6": (127, radiotap(wireless(DATA6))),
    "radiotap, quality of service": (127, radiotap(wireless(DATA, control=0x0288, quality=bytes(2)))),
    "radiotap, padded": (
        127,
        radiotap(wireless(bytes(2) + DATA, control=0x0288, quality=bytes(2)), 3, bytes(8) + b"\x20"),
    ),
    "AVS": (163, struct.pack(">II", 0x80211001, 64) + bytes(56) + wireless(DATA)),
    "Prism": (119, struct.pack("<II", 0x44, 144) + bytes(136) + wireless(DATA)),
    "PPI": (192, struct.pack("<BBHI", 0, 0, 8, 105) + wireless(DATA)),
    "cooked, VLAN": (SLL, cooked(struct.pack("!HH", 7, 0x0800) + HELLO, 0x8100)),
    "cooked 2, MPLS": (SLL2, cooked2(mpls(HELLO), 0x8847)),
}


@pytest.mark.parametrize(("link", "frame"), READ.values(), ids=READ)
def test_the_datagram_is_found(tmp_path: Path, link: int, frame: bytes) -> None:
    with capture.Reader(saved(tmp_path, pcap(frame, link=link))) as reader:
        ((message, destination),) = reader
    assert (message.data, destination) in [(b"hello", (GROUP, PORT)), (b"hello", (GROUP6, PORT))]
    assert reader.progress.skipped == {}


@pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark(1)")
def test_tshark_finds_the_same(tmp_path: Path) -> None:
    interfaces = [interface(link) for link, _ in READ.values()]
    packets = [enhanced(frame, 0, interface=number) for number, (_, frame) in enumerate(READ.values())]
    path = saved(tmp_path, b"".join([section(), *interfaces, *packets]))
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "udp.payload"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(zip(READ, done.stdout.splitlines(), strict=True))
    assert found == dict.fromkeys(READ, b"hello".hex())


def test_the_byte_order_of_nflog_is_that_of_the_machine_it_was_captured_on(tmp_path: Path) -> None:
    with capture.Reader(saved(tmp_path, pcap(nflog(HELLO, ">"), link=239, order=">"))) as reader:
        assert [message.data for message, _ in reader] == [b"hello"]


def test_a_tunnel_that_was_fragmented_is_opened(tmp_path: Path) -> None:
    inner = ipv4(udp(b"x" * 500))
    whole = struct.pack("!HH", 0, 0x0800) + inner
    pieces = [ipv4(whole[:256], protocol=47, fragment=0x2000), ipv4(whole[256:], protocol=47, fragment=32)]
    with capture.Reader(saved(tmp_path, pcap(*pieces))) as reader:
        assert [message.data for message, _ in reader] == [b"x" * 500]


def test_fragments_in_tunnels_are_put_together(tmp_path: Path) -> None:
    pieces = [outer(4, piece) for piece in fragments(b"x" * 500, 256)]
    with capture.Reader(saved(tmp_path, pcap(*pieces))) as reader:
        assert [message.data for message, _ in reader] == [b"x" * 500]


UNREAD = {
    "link type 147": (147, HELLO),
    "link type 189": (258, pktap(189, HELLO)),
    "tunnel ESP, encrypted": (RAW, outer(50, bytes(40))),
    "tunnel L2TP": (RAW, outer6(115, bytes(40))),
    "tunnel MACsec, encrypted": (ETHERNET, of_type(0x88E5, bytes(40))),
    "tunnel MPLS, with another protocol than IP": (ETHERNET, of_type(0x8847, mpls(bytes(40)))),
    "tunnel PPP, compressed": (9, b"\xff\x03\0\xfd" + bytes(40)),
    "tunnel GRE, of an unknown version": (RAW, gre(0x4000, 0x0800, HELLO)),
    "tunnel IEEE 802.11, encrypted": (105, wireless(bytes(40), control=0x4208)),
    "tunnel IEEE 802.11, aggregated": (105, wireless(bytes(40), control=0x0288, quality=b"\x80\0")),
    "tunnel IEEE 802.11, fragmented": (105, wireless(bytes(40), control=0x0608)),
}


@pytest.mark.parametrize("reason", UNREAD)
def test_what_cannot_be_read_is_told_in_progress_and_by_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    link, frame = UNREAD[reason]
    came: list[capture.Progress] = []
    path = saved(tmp_path, pcap(frame, frame, link=link))
    with caplog.at_level(logging.WARNING):
        capture.read(path, speed=None, on_progress=came.append).subscribe()
    assert came[-1].skipped == came[-1].unread == {reason: 2}
    assert [record.getMessage() for record in caplog.records] == [f"{path}: 2 datagrams are missing: {reason}: 2"]


def test_frames_that_are_no_data_are_not_told_as_unread(tmp_path: Path) -> None:
    beacon = struct.pack("<H", 0x0080) + bytes(60)
    with capture.Reader(saved(tmp_path, pcap(beacon, link=105))) as reader:
        assert list(reader) == []
    assert (reader.progress.skipped, reader.progress.unread) == ({"not UDP": 1}, {})


def test_tunnels_in_tunnels_have_an_end(tmp_path: Path) -> None:
    frame = HELLO
    for _ in range(1000):
        frame = outer(4, frame)
    with capture.Reader(saved(tmp_path, pcap(frame))) as reader:
        assert list(reader) == []
    assert reader.progress.unread == {"tunnel in too many others": 1}


@pytest.mark.parametrize("name", READ)
def test_a_frame_that_was_cut_anywhere_costs_itself_alone(tmp_path: Path, name: str) -> None:
    link, frame = READ[name]
    content = pcap(*[frame[:length] for length in range(len(frame))], link=link)
    with capture.Reader(saved(tmp_path, content)) as reader:
        found = list(reader)
    assert {datagram.message.data for datagram in found} <= {b"hello"}
    assert len(found) + sum(reader.progress.skipped.values()) == len(frame)


def test_a_header_that_says_it_is_of_gigabytes_costs_its_frame_alone(tmp_path: Path) -> None:
    """Beyond what an offset may be on a machine of 32 bits."""
    frame = struct.pack(">II", 0x80211001, 0xFFFFFFFF) + bytes(56)
    with capture.Reader(saved(tmp_path, pcap(frame, link=163))) as reader:
        assert list(reader) == []
    assert sum(reader.progress.skipped.values()) == 1


def test_a_file_that_gzip_packed_is_read_and_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "today.pcap.gz"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(pcap(HELLO))
        for _ in range(500):
            packed.write(pcap(ipv4(udp(bytes(60_000))))[24:])
    tracemalloc.start()
    try:
        with capture.Reader(path) as reader:
            assert [len(message.data) for message, _ in reader] == [5] + [60_000] * 500
            assert reader.progress.size is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_packed_file_that_is_cut_or_damaged_gives_what_is_whole_and_the_place(tmp_path: Path) -> None:
    noise = random.Random(1)
    packets = [ipv4(udp(noise.randbytes(1000))) for _ in range(300)]
    packed = gzip.compress(pcap(*packets))
    for damaged in (packed[: len(packed) // 2], packed[:-4], packed[:-8] + bytes(8), packed[:1000] + bytes(8)):
        seen: list[bytes] = []
        with (
            pytest.raises(ipc.CaptureCorrupt, match="compressed file is cut or damaged") as raised,
            capture.Reader(saved(tmp_path, damaged)) as reader,
        ):
            seen.extend(message.data for message, _ in reader)
        assert seen == [packet[28:] for packet in packets[: len(seen)]]
        assert raised.value.offset == (24 + len(seen) * (16 + 1028) if raised.value.offset else 0)
