"""Packets of reliable channels: what is packed is parsed, and hostile bytes do no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.transport.framed import packets
from rx_multicast_ipc.transport.framed.bundles_and_fragments import first_fragment, length_in, messages_of, whole_body
from rx_multicast_ipc.transport.framed.packet_codec import is_packet, pack, parse
from rx_multicast_ipc.transport.framed.packets import BEGIN, END, Beat, Bye, Data, MalformedPacket, Packet, Status

SESSIONS = st.integers(1, (1 << 32) - 1)
NUMBERS = st.integers(1, packets.NUMBER_LIMIT - 1)
CHALLENGES = st.integers(0, (1 << 64) - 1)
MICROSECONDS = st.integers(0, (1 << 32) - 1).map(lambda count: count / 1e6)
MILLISECONDS = st.integers(0, (1 << 32) - 1).map(lambda count: count / 1e3)


@st.composite
def data(draw: st.DrawFn) -> Data:
    session, number = draw(SESSIONS), draw(NUMBERS)
    kind = draw(st.sampled_from(["whole", "first", "middle", "last"]))
    if kind == "whole":
        flags, count, body = whole_body(draw(st.lists(st.binary(max_size=40), min_size=1, max_size=9)))
        return Data(session, number, flags, count, body)
    part = draw(st.binary(min_size=1, max_size=40))
    if kind == "first":
        total = draw(st.integers(len(part) + 1, packets.NUMBER_LIMIT - 1))
        return Data(session, number, BEGIN, 0, first_fragment(total, part))
    return Data(session, number, END if kind == "last" else 0, 0, part)


@st.composite
def beats(draw: st.DrawFn) -> Beat:
    number = draw(st.integers(0, packets.NUMBER_LIMIT - 1))
    oldest = draw(st.integers(1, number + 1))
    members = draw(st.integers(0, 0xFFFF))
    times = draw(MICROSECONDS), draw(MILLISECONDS)
    return Beat(draw(SESSIONS), number, oldest, members, *times, draw(CHALLENGES), draw(st.booleans()))


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    numbers = draw(NUMBERS), draw(NUMBERS)
    missing = draw(st.integers(0, (1 << packets.WINDOW_LIMIT) - 1))
    ago, room, end = draw(MICROSECONDS), draw(st.integers(0, 1 << 31)), draw(st.integers(0, (1 << 32) - 1))
    return Status(draw(SESSIONS), *numbers, ago, room, draw(CHALLENGES), missing, end=end)


ANNOUNCEMENTS = st.sampled_from([Status(0, hello=True), Status(0, leave=True)])
PACKETS: st.SearchStrategy[Packet] = st.one_of(
    data(), beats(), statuses(), ANNOUNCEMENTS, st.builds(Bye, SESSIONS, NUMBERS)
)


def close_to(one: Packet, other: Packet) -> bool:
    """Equal, but for a rounding of times to the unit of their field."""
    return type(one) is type(other) and all(
        value == pytest.approx(got, abs=1.1e-3) if isinstance(value, float) and isinstance(got, float) else value == got
        for value, got in zip(one, other, strict=True)
    )


@given(PACKETS)
def test_what_is_packed_is_parsed(packet: Packet) -> None:
    assert close_to(parse(pack(packet)), packet)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=40))
def test_messages_that_share_a_packet_come_out_whole(messages: list[bytes]) -> None:
    packet = parse(pack(Data(7, 1, *whole_body(messages))))
    assert isinstance(packet, Data)
    assert messages_of(packet) == messages


def test_equal_messages_need_no_lengths() -> None:
    assert len(whole_body([b"x" * 100] * 14)[2]) == 1400


@given(st.binary(max_size=80))
def test_any_bytes_are_a_packet_or_malformed(noise: bytes) -> None:
    survive(noise)


@given(st.integers(0, 255), st.binary(min_size=14, max_size=80))
def test_any_bytes_behind_the_first_are_a_packet_or_malformed(kind: int, noise: bytes) -> None:
    survive(bytes([packets.MAGIC, kind]) + noise)


@given(PACKETS, st.data())
def test_a_damaged_packet_is_a_packet_or_malformed(packet: Packet, draws: st.DataObject) -> None:
    whole = pack(packet)
    place = draws.draw(st.integers(0, len(whole) - 1))
    mutated = whole[:place] + draws.draw(st.binary(min_size=1, max_size=3)) + whole[place + 1 :]
    survive(mutated)
    survive(whole[:place])
    survive(whole + mutated)


def survive(datagram: bytes) -> None:
    try:
        packet = parse(datagram)
        if isinstance(packet, Data):
            if packet.flags & 3 == 3:
                found = messages_of(packet)
                assert 1 <= len(found) == packet.message_count <= max(1, len(packet.body))
                assert sum(map(len, found)) <= len(packet.body)
            elif packet.flags == BEGIN:
                assert len(packet.body) - 8 < length_in(packet.body) < packets.NUMBER_LIMIT
        elif isinstance(packet, Status):
            assert packet.missing.bit_length() <= packets.WINDOW_LIMIT
        elif isinstance(packet, Beat):
            assert 0 < packet.oldest <= packet.number + 1
    except MalformedPacket:
        pass


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\xf5",
        b"plain text of a raw peer",
        pack(Data(1, 0, 3, 1, b"number 0")),
        pack(Data(0, 1, 3, 1, b"session 0")),
        pack(Data(1, 1, 11, 3, b"")),  # thousands of empty messages in a few bytes
        pack(Data(1, 1, 7, 0xFFFF, b"\0\0")),
        pack(Data(1, 1, 1, 0, first_fragment(3, b"whole"))),
        pack(Data(1, 1, 15, 1, b"both kinds of bundle")),
        pack(Beat(1, 5, 7)),
        pack(Status(1, hello=True)),
        pack(Status(0)),
    ],
)
def test_contradictions_are_malformed(datagram: bytes) -> None:
    with pytest.raises(MalformedPacket):
        parse(datagram)


@given(st.text())
def test_no_text_is_taken_for_a_packet(text: str) -> None:
    assert not is_packet(text.encode())
