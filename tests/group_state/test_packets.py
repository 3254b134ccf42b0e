"""Packets of presence and of latest values: what was packed is read, and what a stranger sends is read or refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rx_multicast_ipc.group_state.latest.packets import (
    LATEST_STARTS,
    AskPacket,
    LatestValuePacket,
    Version,
    pack_ask,
    pack_latest,
    read_ask,
    read_latest,
)
from rx_multicast_ipc.group_state.presence.packet import PRESENCE, PresencePacket, pack_presence, read_presence
from rx_multicast_ipc.transport.framed.packet_codec import pack_control, parse_control
from rx_multicast_ipc.transport.framed.packets import ControlPacket

numbers = st.integers(1, 2**63 - 1)
sessions = st.integers(1, 2**32 - 1)
names = st.text("abcäß漢🎲 -", min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
topics = st.lists(st.text("abcä漢", min_size=1, max_size=5), min_size=1, max_size=4).map("/".join)


@given(
    st.builds(
        PresencePacket,
        sessions,
        numbers,
        st.integers(0, 7),
        st.integers(100, 3_600_000).map(lambda ms: ms / 1000),
        names,
        st.binary(max_size=512),
    )
)
def test_presence_comes_back_as_it_was(packet: PresencePacket) -> None:
    control = parse_control(pack_control(pack_presence(packet)))
    assert control is not None
    assert read_presence(control) == packet


@given(st.builds(LatestValuePacket, topics, st.builds(Version, numbers, sessions), st.binary(), st.booleans()))
def test_a_value_comes_back_as_it_was(packet: LatestValuePacket) -> None:
    data = pack_latest(packet)
    assert data.startswith(LATEST_STARTS)
    assert read_latest(data) == packet


@given(topics, st.builds(Version, numbers, sessions) | st.just(Version()), st.integers(0, 7) | st.none())
def test_an_ask_comes_back_as_it_was(name: str, version: Version, attempt: int | None) -> None:
    packet = AskPacket(name, version, attempt)
    expected = None if attempt is None and not version.number else packet
    assert read_ask(pack_ask(packet)) == expected


@given(
    st.integers(0, 15),
    st.integers(0, 15),
    st.integers(0, 2**16 - 1) | st.integers(0, 20),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=40),
)
@example(PRESENCE, 0, 1, 1, 1, b"\0\0\x03\xe8\x1b")
def test_whatever_a_stranger_sends_is_read_or_refused(
    kind: int, flags: int, counter: int, session: int, number: int, body: bytes
) -> None:
    packet = ControlPacket(kind, flags, counter, session, number, body)
    presence, ask, value = read_presence(packet), read_ask(packet), read_latest(pack_control(packet))
    if presence is not None:
        assert presence.name.isprintable()
        assert pack_presence(presence)[1:] == packet[1:]
    if ask is not None:
        assert ask.version.number < 2**63
    if value is not None:
        assert pack_latest(value) == pack_control(packet)


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0\x03\xe8" + b"\x1b[2J",
        b"\0\0\x03\xe8" + b"a\nb" + b"x",
        b"\0\0\x03\xe8" + "a\u202e".encode(),
        b"\0\0\x03\xe8" + b"    ",
        b"\0\0\0\x01" + b"ab" * 2,
        b"\xff\xff\xff\xff" + b"abcd",
    ],
    ids=["escape sequence", "line feed", "bidi override", "spaces", "1 ms", "49 days"],
)
def test_no_name_steers_a_terminal_and_no_interval_is_absurd(body: bytes) -> None:
    assert read_presence(ControlPacket(PRESENCE, 0, 4, 7, 1, body)) is None
