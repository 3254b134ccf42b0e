"""Anyone's capture is read; what is not a datagram is counted, what is damaged is told with its place."""

from __future__ import annotations

import re
import struct
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rx_multicast_ipc as ipc
from rx_multicast_ipc.capture import Datagram, Reader

from ..helpers import nothing_left_behind
from .packets import (
    ETHERNET,
    GROUP,
    GROUP6,
    HELLO,
    HELLO6,
    LOOP,
    NOON,
    NULL,
    PORT,
    RAW,
    SECOND,
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
    obsolete,
    option,
    pcap,
    saved,
    section,
    simple,
    udp,
)


def read(folder: Path, content: bytes, **arguments: Any) -> tuple[list[Datagram], Reader]:
    with Reader(saved(folder, content), **arguments) as reader:
        return list(reader), reader


def payloads(folder: Path, content: bytes, **arguments: Any) -> list[bytes]:
    return [datagram.message.data for datagram in read(folder, content, **arguments)[0]]


def skipped(folder: Path, content: bytes, **arguments: Any) -> dict[str, int]:
    return read(folder, content, **arguments)[1].progress.skipped


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [True, False])
def test_a_pcap_of_either_byte_order_and_resolution(tmp_path: Path, order: str, nanoseconds: bool) -> None:
    (first, second), _ = read(tmp_path, pcap(HELLO, HELLO, order=order, nanoseconds=nanoseconds, gap=1_500_000))
    hello = ipc.Message(b"hello", "10.0.0.1", 5000, "IPv4", NOON / SECOND, destination=(GROUP, PORT))
    assert first == Datagram(hello, (GROUP, PORT))
    assert second.message.received_at == (NOON + 1_500_000) / SECOND


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("make", [enhanced, obsolete])
def test_a_pcapng_of_either_byte_order(tmp_path: Path, order: str, make: Any) -> None:
    content = section(order) + interface(RAW, order) + make(HELLO, NOON // 1000, order)
    ((message, destination),), _ = read(tmp_path, content)
    assert (message.data, message.received_at, destination) == (b"hello", NOON / SECOND, (GROUP, PORT))


def test_each_interface_of_a_pcapng_has_its_own_link_and_clock(tmp_path: Path) -> None:
    content = (
        section()
        + interface(RAW, options=option(9, b"\x09"))
        + interface(ETHERNET, options=option(2, b"eth0") + option(9, b"\x8a") + option(14, struct.pack("<q", 1000)))
        + interface(SLL)
        + enhanced(HELLO, NOON + 7)
        + enhanced(ethernet(HELLO), 1024 + 512, interface=1)
        + enhanced(cooked(HELLO), 1_500_000, interface=2)
    )
    times = [datagram.message.received_at for datagram in read(tmp_path, content)[0]]
    assert times == [(NOON + 7) / SECOND, 1001.5, 1.5]


def test_a_pcapng_may_have_sections_in_both_byte_orders_and_blocks_that_say_nothing_of_packets(tmp_path: Path) -> None:
    statistics = struct.pack("<IIII", 5, 20, 0, 0) + struct.pack("<I", 20)
    content = (
        section("<")
        + interface(RAW)
        + enhanced(HELLO, 1)
        + statistics
        + section(">")
        + interface(ETHERNET, ">")
        + enhanced(ethernet(HELLO6), 2, ">")
    )
    assert [datagram.destination for datagram in read(tmp_path, content)[0]] == [(GROUP, PORT), (GROUP6, PORT)]


def test_a_simple_packet_has_no_time_and_none_is_made_up(tmp_path: Path) -> None:
    content = section() + interface(RAW) + simple(HELLO) + enhanced(HELLO, 5_000_000) + simple(HELLO)
    assert [datagram.message.received_at for datagram in read(tmp_path, content)[0]] == [0.0, 5.0, 0.0]


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (RAW, HELLO),
        (12, HELLO),
        (14, HELLO),
        (228, HELLO),
        (ETHERNET, ethernet(HELLO)),
        (ETHERNET, ethernet(HELLO) + bytes(18)),  # padded to the shortest frame
        (ETHERNET, ethernet(HELLO, 0x8100)),
        (ETHERNET, ethernet(HELLO, 0x88A8, 0x8100)),
        (ETHERNET | 0x2400_0000, ethernet(HELLO)),  # with a frame check sequence
        (SLL, cooked(HELLO)),
        (SLL2, cooked2(HELLO)),
        (NULL, struct.pack("<I", 2) + HELLO),
        (NULL, struct.pack(">I", 2) + HELLO),
        (LOOP, struct.pack(">I", 2) + HELLO),
        (RAW, ipv4(udp(b"hello"), options=b"\x94\x04\0\0")),  # the router alert that IGMP uses
    ],
)
def test_every_link_and_header_that_ipv4_comes_in(tmp_path: Path, link: int, frame: bytes) -> None:
    ((message, destination),), _ = read(tmp_path, pcap(frame, link=link))
    assert (message.data, message.sender, message.family) == (b"hello", ("10.0.0.1", 5000), "IPv4")
    assert destination == (GROUP, PORT)


OPTIONS = bytes([17, 0]) + bytes(6)
AUTHENTICATION = bytes([17, 4]) + bytes(22)


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (RAW, HELLO6),
        (229, HELLO6),
        (ETHERNET, ethernet(HELLO6)),
        (SLL, cooked(HELLO6, 0x86DD)),
        (SLL2, cooked2(HELLO6, 0x86DD)),
        *[(NULL, struct.pack("<I", family) + HELLO6) for family in (10, 24, 28, 30)],
        *[(RAW, ipv6(OPTIONS + udp(b"hello"), kind=kind)) for kind in (0, 43, 60, 135)],
        (RAW, ipv6(bytes([60, 1]) + bytes(14) + OPTIONS + udp(b"hello"), kind=0)),
        (RAW, ipv6(AUTHENTICATION + udp(b"hello"), kind=51)),
        (RAW, ipv6(bytes([17, 0, 0, 0]) + bytes(4) + udp(b"hello"), kind=44)),  # "fragmented" into one piece
    ],
)
def test_every_link_and_header_that_ipv6_comes_in(tmp_path: Path, link: int, frame: bytes) -> None:
    ((message, destination),), _ = read(tmp_path, pcap(frame, link=link))
    assert (message.data, message.sender, message.family) == (b"hello", ("fe80::1", 5000), "IPv6")
    assert destination == (GROUP6, PORT)


BROADCAST_MAC = bytes([255] * 6)


@pytest.mark.parametrize(
    ("destination", "direct"),
    [(GROUP, False), ("239.255.0.1", False), ("10.0.0.2", True), ("255.255.255.255", False), ("0.0.0.0", True)],
)
def test_a_message_is_direct_if_it_was_sent_neither_to_a_group_nor_to_all(
    tmp_path: Path, destination: str, direct: bool
) -> None:
    ((message, _),), _ = read(tmp_path, pcap(ipv4(udp(b""), destination=destination)))
    assert message.direct is direct


TO_NETWORK = ipv4(udp(b"x"), destination="10.0.0.255")


@pytest.mark.parametrize(
    ("link", "frame", "direct"),
    [
        (ETHERNET, BROADCAST_MAC + ethernet(TO_NETWORK)[6:], False),
        (ETHERNET, b"\x01" + ethernet(TO_NETWORK)[1:], False),
        (ETHERNET, ethernet(TO_NETWORK), True),
        (ETHERNET, BROADCAST_MAC + ethernet(TO_NETWORK, 0x8100)[6:], False),
        (SLL, b"\0\1" + cooked(TO_NETWORK)[2:], False),
        (SLL, b"\0\0" + cooked(TO_NETWORK)[2:], True),
        (SLL2, cooked2(TO_NETWORK)[:10] + b"\1" + cooked2(TO_NETWORK)[11:], False),
        (SLL2, cooked2(TO_NETWORK)[:10] + b"\0" + cooked2(TO_NETWORK)[11:], True),
        (258, struct.pack("<III", 12, 1, ETHERNET) + BROADCAST_MAC + ethernet(TO_NETWORK)[6:], False),
        (258, struct.pack("<III", 12, 1, ETHERNET) + ethernet(TO_NETWORK), True),
        (ETHERNET, BROADCAST_MAC + ethernet(ipv4(ipv4(udp(b"x"), destination="10.0.0.2"), protocol=4))[6:], True),
    ],
)
def test_the_link_tells_of_a_broadcast_of_a_network(tmp_path: Path, link: int, frame: bytes, direct: bool) -> None:
    ((message, _),), _ = read(tmp_path, pcap(frame, link=link))
    assert message.direct is direct


def test_only_what_was_sent_to_a_port_or_group_on_request(tmp_path: Path) -> None:
    content = pcap(
        ipv4(udp(b"a", port=1)), ipv4(udp(b"b", port=2)), ipv4(udp(b"c", port=1), destination="224.0.2.9"), HELLO6
    )
    assert payloads(tmp_path, content, port=1) == [b"a", b"c"]
    assert payloads(tmp_path, content, group="224.0.2.9") == [b"c"]
    assert payloads(tmp_path, content, group="FF02:0::1:7") == [b"hello"]
    assert payloads(tmp_path, content, port=1, group=GROUP) == [b"a"]
    assert skipped(tmp_path, content, port=1, group=GROUP) == {"another port or group": 3}


@pytest.mark.parametrize(
    ("link", "frame", "reason"),
    [
        (RAW, ipv4(bytes(20), protocol=6), "not UDP"),
        (RAW, ipv6(bytes(20), kind=58), "not UDP"),
        (ETHERNET, bytes(12) + b"\x08\x06" + bytes(28), "not UDP"),
        (NULL, struct.pack("<I", 7) + HELLO, "not UDP"),
        (147, HELLO, "link type 147"),
        (RAW, b"", "malformed"),
        (RAW, b"\x55" + bytes(40), "malformed"),
        (RAW, HELLO[:-1], "malformed"),
        (RAW, ipv4(b"\0\1\0\2\0\7\0\0"), "malformed"),
        (RAW, ipv4(b"\0\1\0\2\0\x09\0\0"), "malformed"),
        (ETHERNET, bytes(12), "malformed"),
    ],
)
def test_other_packets_are_skipped_and_counted(tmp_path: Path, link: int, frame: bytes, reason: str) -> None:
    found, reader = read(tmp_path, pcap(frame, frame, link=link))
    assert found == []
    assert reader.progress.skipped == {reason: 2}


@pytest.mark.parametrize("snaplen", range(1, len(HELLO)))
def test_a_datagram_that_was_cut_short_when_captured_is_skipped_and_counted(tmp_path: Path, snaplen: int) -> None:
    assert skipped(tmp_path, pcap(HELLO, snaplen=snaplen)) == {"cut short when captured (snaplen)": 1}


BIG = bytes(range(256)) * 16


NG = (
    section()
    + interface(RAW, options=option(9, b"\x09"))
    + b"".join(enhanced(HELLO, NOON + number) for number in range(5))
)


@pytest.mark.parametrize("content", [pcap(*[HELLO] * 5), NG], ids=["pcap", "pcapng"])
def test_a_cut_file_gives_what_is_whole_and_then_the_place_where_it_is_cut(tmp_path: Path, content: bytes) -> None:
    step = 16 + len(HELLO) if content is not NG else len(enhanced(HELLO, NOON))
    start = len(content) - 5 * step
    ends = {start + number * step: number for number in range(6)}
    if content is NG:
        ends[len(section())] = 0
    whole = 0
    for length in range(1, len(content)):
        whole = ends.get(length, whole)
        seen: list[Datagram] = []
        if length in ends:
            assert len(read(tmp_path, content[:length])[0]) == whole
            continue
        with pytest.raises(ipc.CaptureCorrupt) as raised, Reader(saved(tmp_path, content[:length])) as reader:
            seen.extend(reader)
        place = max([end for end in ends if end <= length], default=0)
        assert (len(seen), raised.value.offset) == (whole, place)
        assert f"byte {place}:" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "offset", "reason"),
    [
        (b"", 0, "empty"),
        (b"\x1f\x8b\x08\x00....", 0, "compressed file is cut or damaged"),
        (b"BZh91AY", 0, "bunzip2"),
        (b"\x28\xb5\x2f\xfd....", 0, "unzstd"),
        (b"{'json': 1}", 0, "neither a pcap nor a pcapng"),
        (pcap(HELLO) + struct.pack("<IIII", 0, 0, 300_000, 300_000), 24 + 16 + len(HELLO), "claims 300000 bytes"),
        (section() + struct.pack("<II", 6, 13) + bytes(40), 28, "claims a size of 13 bytes"),
        (section() + struct.pack("<II", 6, 1 << 30), 28, "claims a size of"),
        (section() + struct.pack("<II", 6, 0), 28, "claims a size of 0 bytes"),
        (section() + struct.pack("<II", 9, 16) + bytes(8), 28, "two sizes differ"),
        (section()[:8] + bytes(20), 0, "no byte order"),
        (section() + enhanced(HELLO, 1), 28, "contradicts itself"),
        (section() + interface(RAW) + enhanced(HELLO, 1, interface=1), 48, "contradicts itself"),
        (section() + interface(RAW) + enhanced(HELLO, (1 << 64) - 1), 48, "time is out of range"),
    ],
)
def test_a_damaged_file_is_told_with_the_place(tmp_path: Path, content: bytes, offset: int, reason: str) -> None:
    with pytest.raises(ipc.CaptureCorrupt, match=reason) as raised:
        read(tmp_path, content)
    assert (raised.value.offset, raised.value.path) == (offset, str(tmp_path / "given.pcap"))


@given(st.integers(0, 1 << 64) | st.integers(253_402_300_790_000_000, 253_402_300_810_000_000))
def test_every_time_that_is_read_is_one_of_the_calendar(ticks: int) -> None:
    """Also once it is a float: what was captured within the last second of the year 9999 may be rounded up."""
    with TemporaryDirectory() as folder:
        try:
            (datagram,) = read(Path(folder), section() + interface(RAW) + enhanced(HELLO, min(ticks, (1 << 64) - 1)))[0]
        except ipc.CaptureCorrupt:
            return
        assert (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=datagram.message.received_at)).year <= 9999


HUGE = struct.pack("<IIII", 0, 0, 3_000_000_000, 3_000_000_000)
"""The header of a record that claims 3 GB."""


@pytest.mark.parametrize("snaplen", [0, 262_144, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_record_that_claims_gigabytes_is_told_with_the_place_whatever_the_header_allows(
    tmp_path: Path, snaplen: int
) -> None:
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, RAW)
    with pytest.raises(ipc.CaptureCorrupt, match="claims 3000000000 bytes") as raised:
        read(tmp_path, header + pcap(HELLO)[24:] + HUGE + bytes(100))
    assert raised.value.offset == 24 + 16 + len(HELLO)


@pytest.mark.parametrize("claimed", [100_000_000, 128 << 20])
def test_a_claim_takes_no_more_memory_than_a_packet_of_a_network(tmp_path: Path, claimed: int) -> None:
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, claimed, RAW)
    path = saved(tmp_path, header + struct.pack("<IIII", 0, 0, claimed, claimed) + bytes(3_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(ipc.CaptureCorrupt, match=f"cut after 3000000 of {claimed} bytes"), Reader(path) as reader:
            next(reader)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_record_that_is_longer_than_any_packet_of_a_network_costs_itself_alone(tmp_path: Path) -> None:
    content = pcap(bytes(1_000_000), HELLO, snaplen=2_000_000)
    assert payloads(tmp_path, content) == [b"hello"]


@given(data=st.binary(max_size=400), head=st.sampled_from([b"", pcap(HELLO), NG, section()[:12], pcap()[:20]]))
def test_garbage_raises_nothing_but_this_librarys_errors(data: bytes, head: bytes) -> None:
    with TemporaryDirectory() as folder:
        try:
            read(Path(folder), head + data)
        except ipc.MulticastError as error:
            assert isinstance(error, ipc.CaptureCorrupt)  # noqa: PT017


FRAMES = st.sampled_from(
    [HELLO, HELLO6, fragments(BIG, 64)[0], ipv6(OPTIONS + udp(b"x"), kind=0), ethernet(HELLO, 0x8100), cooked(HELLO)]
)


@given(
    frame=FRAMES,
    at=st.integers(0, 60),
    damage=st.binary(max_size=8),
    cut=st.integers(0, 80),
    link=st.sampled_from([NULL, ETHERNET, RAW, SLL, SLL2]),
)
def test_a_damaged_packet_costs_itself_alone(frame: bytes, at: int, damage: bytes, cut: int, link: int) -> None:
    damaged = (frame[:at] + damage + frame[at + len(damage) :])[:cut]
    content = section() + interface(link) + interface(RAW) + enhanced(damaged, 1) + enhanced(HELLO, 2, interface=1)
    with TemporaryDirectory() as folder:
        found, reader = read(Path(folder), content)
    assert found[-1].message.data == b"hello"
    assert len(found) + sum(reader.progress.skipped.values()) == 2


@given(content=st.sampled_from([pcap(HELLO, HELLO), NG]), at=st.integers(0, 500), value=st.integers(0, 255))
def test_one_wrong_byte_raises_nothing_but_this_librarys_errors(content: bytes, at: int, value: int) -> None:
    at %= len(content)
    with TemporaryDirectory() as folder:
        try:
            read(Path(folder), content[:at] + bytes([value]) + content[at + 1 :])
        except ipc.MulticastError as error:
            assert isinstance(error, ipc.CaptureCorrupt)  # noqa: PT017


def test_progress_tells_where_the_reading_is(tmp_path: Path) -> None:
    content = pcap(HELLO, ipv4(bytes(20), protocol=6), HELLO)
    with Reader(saved(tmp_path, content)) as reader:
        next(reader)
        assert (reader.progress.position, reader.progress.size) == (24 + 16 + len(HELLO), len(content))
        list(reader)
        assert reader.progress.position == len(content)
        assert (reader.progress.messages, reader.progress.skipped) == (2, {"not UDP": 1})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pcap", tmp_path):
        with pytest.raises(ipc.CaptureFailed, match=re.escape(f"cannot read {path}") + ".*check the path") as raised:
            Reader(path)
        assert isinstance(raised.value.__cause__, OSError)


def test_nothing_stays_open_when_a_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, b"no capture")
    with nothing_left_behind(), pytest.raises(ipc.CaptureCorrupt):
        Reader(path)


@pytest.mark.parametrize("path", [None, 5, b"x", "a\0b"])
def test_a_path_that_is_none(path: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match="name of a capture file"):
        Reader(path)


@pytest.mark.parametrize("group", ["10.0.0.1", "x", 5])
def test_a_group_that_is_none(tmp_path: Path, group: Any) -> None:
    with pytest.raises(ipc.InvalidGroup, match="multicast address"):
        Reader(tmp_path, group=group)


def test_a_port_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ipc.InvalidPort):
        Reader(tmp_path, port=0)
