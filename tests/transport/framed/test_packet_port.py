"""Packets of other kinds beside the messages of a channel: heard, sent, told of, and the last ones at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rx_multicast_ipc import Group, Message, NetworkChange, NetworkEvent, Reliable, SendFailed
from rx_multicast_ipc.channel_options import complete
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.testing import VirtualClock
from rx_multicast_ipc.transport.framed.open_framed import OpenFramed
from rx_multicast_ipc.transport.framed.packet_codec import pack_control
from rx_multicast_ipc.transport.framed.packet_transport import PacketTransport
from rx_multicast_ipc.transport.framed.packets import ControlPacket, Kind
from rx_multicast_ipc.transport.virtual.host import VirtualHost
from rx_multicast_ipc.transport.virtual.link import Link
from rx_multicast_ipc.transport.virtual.network import Wire

from ...transport_rigs import Reversal

GROUP = Group.of(interface="default")
PRESENCE = 6


class End:
    """An end on a host of its own, and what it told, in order: messages' payloads, bodies of packets, events."""

    def __init__(self, wire: Wire, host: int, reliable: Reliable | None, envelope: bool) -> None:
        opening = OpenFramed(VirtualHost(wire, f"10.0.0.{host}"), reliable, Reversal if envelope else None)
        self.transport: PacketTransport = opening(GROUP, complete({}))
        self.packets = self.transport.packets
        self.told: list[Any] = []
        self.transport.start(
            lambda batch: self.told.extend(message.data for message in batch), lambda fault: None, self.told.append
        )

    def hear(self, kind: int = PRESENCE, is_one: bool = True) -> None:
        def handler(packet: ControlPacket, message: Message) -> bool:
            self.told.append((packet.kind, packet.body, message.address, message.direct))
            return is_one

        self.packets.handle(kind, handler)


Open = Callable[[int], End]


@pytest.fixture
def wire(clock: VirtualClock) -> Wire:
    return Wire(clock, Link(latency=0.01))


MODES = {
    "raw": (None, False),
    "enveloped": (None, True),
    "reliable": (Reliable(), False),
    "reliable, enveloped": (Reliable(), True),
}


@pytest.fixture(params=MODES.values(), ids=[*MODES])
def opened(request: pytest.FixtureRequest, wire: Wire) -> Open:
    reliable, envelope = request.param
    return lambda host: End(wire, host, reliable, envelope)


def presence(body: bytes = b"here") -> ControlPacket:
    return ControlPacket(PRESENCE, 3, 7, 42, 9, body)


def test_a_packet_to_the_group_reaches_the_handlers_of_others(opened: Open, clock: VirtualClock) -> None:
    ends = [opened(host) for host in (1, 2, 3)]
    for end in ends:
        end.hear()
    clock.advance_by(1.0)
    ends[0].packets.send(presence())
    clock.advance_by(1.0)
    assert [end.told for end in ends] == [[], *[[(PRESENCE, b"here", "10.0.0.1", False)]] * 2]


def test_a_packet_to_one_reaches_no_other(opened: Open, clock: VirtualClock) -> None:
    one, other, third = [opened(host) for host in (1, 2, 3)]
    for end in (one, other, third):
        end.hear()
    clock.advance_by(1.0)
    one.packets.send(presence(), other.transport.sender_address)
    clock.advance_by(1.0)
    assert (other.told, third.told) == ([(PRESENCE, b"here", "10.0.0.1", True)], [])


def test_a_packet_keeps_its_place_among_messages(opened: Open, clock: VirtualClock) -> None:
    one, other = opened(1), opened(2)
    other.hear()
    clock.advance_by(1.0)
    one.transport.send(b"before")
    one.packets.send(presence())
    one.transport.send(b"after")
    clock.advance_by(1.0)
    assert other.told == [b"before", (PRESENCE, b"here", "10.0.0.1", False), b"after"]


def test_messages_are_unchanged_by_the_packets_beside_them(opened: Open, clock: VirtualClock) -> None:
    one, other = opened(1), opened(2)
    clock.advance_by(1.0)
    one.transport.send_many([b"one", b"", b"three"])
    one.transport.send(b"direct", other.transport.sender_address)
    clock.advance_by(1.0)
    assert sorted(other.told) == [b"", b"direct", b"one", b"three"]
    assert one.told == [b"one", b"", b"three"]
    sent, heard = one.transport.statistics, other.transport.statistics
    assert (sent.sent, sent.sent_bytes) == (4, 14)
    assert (heard.received, heard.received_bytes) == (4, 14)


def test_an_event_is_told_in_its_place(opened: Open, clock: VirtualClock) -> None:
    one, other = opened(1), opened(2)
    event = NetworkEvent(NetworkChange.UP, "here", "10.0.0.1", 0.0)

    def handler(_: ControlPacket, __: Message) -> bool:
        other.packets.tell(event)
        return True

    other.packets.handle(PRESENCE, handler)
    clock.advance_by(1.0)
    one.transport.send(b"before")
    one.packets.send(presence())
    one.transport.send(b"after")
    clock.advance_by(1.0)
    assert other.told == [b"before", event, b"after"]


def test_what_a_handler_raises_is_reported_and_ends_nothing(
    opened: Open, clock: VirtualClock, unhandled: list[BaseException]
) -> None:
    one, other = opened(1), opened(2)

    def handler(packet: ControlPacket, _: Message) -> bool:
        raise ValueError(packet.body)

    other.packets.handle(PRESENCE, handler)
    clock.advance_by(1.0)
    one.packets.send(presence())
    one.transport.send(b"after")
    clock.advance_by(1.0)
    assert other.told == [b"after"]
    assert [str(error) for error in unhandled] == ["b'here'"]
    unhandled.clear()


def test_the_last_words_are_heard(opened: Open, clock: VirtualClock) -> None:
    one, other = opened(1), opened(2)
    other.hear()
    clock.advance_by(1.0)
    one.packets.before_closing(lambda: one.packets.send(presence(b"bye")))
    one.transport.close()
    clock.advance_by(1.0)
    assert other.told == [(PRESENCE, b"bye", "10.0.0.1", False)]
    assert one.transport.ended


def test_after_the_end_nothing_is_sent_and_nobody_minds(opened: Open, clock: VirtualClock) -> None:
    one, other = opened(1), opened(2)
    other.hear()
    clock.advance_by(1.0)
    one.transport.close()
    clock.advance_by(5.0)
    one.packets.send(presence())
    clock.advance_by(1.0)
    assert other.told == []


def test_a_goodbye_is_shown_to_who_asks(wire: Wire, clock: VirtualClock) -> None:
    one, other = [End(wire, host, Reliable(), False) for host in (1, 2)]
    other.hear(Kind.BYE)
    clock.advance_by(1.0)
    one.transport.send(b"something")
    clock.advance_by(1.0)
    one.transport.close()
    clock.advance_by(2.0)
    assert other.told[0] == b"something"
    assert {word[0] for word in other.told[1:]} == {Kind.BYE}


def test_raw_bytes_that_only_look_like_a_packet_are_a_message(wire: Wire, clock: VirtualClock) -> None:
    one, other = [End(wire, host, None, False) for host in (1, 2)]
    other.hear(is_one=False)
    clock.advance_by(1.0)
    one.transport.send(pack_control(presence()))
    clock.advance_by(1.0)
    assert other.told[-1] == pack_control(presence())


def test_raw_bytes_of_a_kind_that_nobody_asked_for_are_a_message(wire: Wire, clock: VirtualClock) -> None:
    one, other = [End(wire, host, None, False) for host in (1, 2)]
    clock.advance_by(1.0)
    one.transport.send(pack_control(presence()))
    clock.advance_by(1.0)
    assert other.told == [pack_control(presence())]


@pytest.mark.parametrize("reliable", [None, Reliable()], ids=["unrepaired", "reliable"])
def test_what_the_envelope_does_not_open_is_dropped(reliable: Reliable | None, wire: Wire, clock: VirtualClock) -> None:
    outsider, insider = End(wire, 1, None, False), End(wire, 2, reliable, True)
    insider.hear()
    clock.advance_by(1.0)
    outsider.transport.send(b"plain")
    outsider.packets.send(presence())
    clock.advance_by(1.0)
    assert insider.told == []


def test_reliable_ends_and_others_with_an_envelope_do_not_hear_each_other(wire: Wire, clock: VirtualClock) -> None:
    one, other = End(wire, 1, None, True), End(wire, 2, Reliable(), True)
    clock.advance_by(1.0)
    one.transport.send(b"once")
    other.transport.send(b"surely")
    clock.advance_by(2.0)
    assert (one.told, other.told) == ([b"once"], [b"surely"])
    assert one.transport.statistics.foreign > 0
    assert other.transport.statistics.foreign == 1


def test_what_is_refused_while_something_arrives_is_not_heard(
    wire: Wire, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = End(wire, 1, None, envelope=True), End(wire, 2, None, envelope=True)
    other.transport.send(b"meanwhile")

    def refuse(payload: bytes, destination: Address | None = None) -> None:
        clock.advance_by(1.0)
        raise SendFailed("no")

    with monkeypatch.context() as patch:
        patch.setattr(one.transport.inner, "send", refuse)
        with pytest.raises(SendFailed):
            one.transport.send(b"refused")
    one.transport.send(b"sent")
    clock.advance_by(1.0)
    assert one.told == [b"meanwhile", b"sent"]
    assert one.transport.statistics.sent == 1
