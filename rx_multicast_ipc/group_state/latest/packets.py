"""The packets of latest values: records to bytes, and back, without state.

LATEST 7   a value; it travels as a message, so a reliable channel repairs it, and it may be large there
           flags: 1 HELD: it was set before, and this is an answer; count: bytes of the name
           session: of the end that set it; number: of its version, from 1
           name, UTF-8 | value
ASK 8      flags: 8 HAVE: says which version is there; else it asks for a later one, for the (flags + 1)th time
           count, session, number: as above, of the version that the sender has; both 0 for none
           name
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ...transport.framed.packet_codec import pack_control, parse_control
from ...transport.framed.packets import HEADER_SIZE, MAGIC, NUMBER_LIMIT, ControlPacket
from ...validation.topic_name import LONGEST_NAME, read_name

LATEST: Final = 7
ASK: Final = 8
"""Kinds of packet."""

MOST_ATTEMPTS: Final = 7
"""An ask tells how often it was asked before, up to this."""

_HELD: Final = 1
_HAVE: Final = 8
LATEST_STARTS: Final = bytes((MAGIC, LATEST << 4)), bytes((MAGIC, LATEST << 4 | _HELD))


class Version(NamedTuple):
    """When a value was set: later ones are greater, everywhere alike.

    Attributes:
        number: one more than that of the latest which the setter knew (L. Lamport, 1978).
        setter: the session of that end, which decides between two that were set at the same time.
    """

    number: int = 0
    setter: int = 0


class LatestValuePacket(NamedTuple):
    """A value of a name.

    Attributes:
        name: which.
        version, value: the value.
        held: whether this is an answer of a holder, not sent because it was just set.
    """

    name: str
    version: Version
    value: bytes
    held: bool = False


class AskPacket(NamedTuple):
    """What an end has of a name, and whether it asks for more.

    Attributes:
        name: of the value.
        version: that it has.
        attempt: how often it asked before, 0 to 7; None if it does not ask, but tells what it has.
    """

    name: str
    version: Version
    attempt: int | None


def pack_latest(packet: LatestValuePacket) -> bytes:
    """The message that holds a value."""
    name = packet.name.encode()
    number, setter = packet.version
    return pack_control(ControlPacket(LATEST, _HELD * packet.held, len(name), setter, number, name + packet.value))


def latest_overhead(name: str) -> int:
    """Bytes that a message has beside the value."""
    return HEADER_SIZE + len(name.encode())


def read_latest(data: bytes) -> LatestValuePacket | None:
    """The value in a message; None if it is none."""
    packet = parse_control(data)
    if packet is None or packet.kind != LATEST or packet.flags & ~_HELD or not packet.session:
        return None
    name = _name_in(packet)
    if name is None or not 0 < packet.number < NUMBER_LIMIT:
        return None
    value = packet.body[packet.counter :]
    return LatestValuePacket(name, Version(packet.number, packet.session), value, bool(packet.flags & _HELD))


def pack_ask(packet: AskPacket) -> ControlPacket:
    """The packet, for :class:`~rx_multicast_ipc.transport.framed.packet_port.PacketPort`."""
    name = packet.name.encode()
    flags = _HAVE if packet.attempt is None else min(packet.attempt, MOST_ATTEMPTS)
    return ControlPacket(ASK, flags, len(name), packet.version.setter, packet.version.number, name)


def read_ask(packet: ControlPacket) -> AskPacket | None:
    """What a packet of this kind says; None for one that this library would not send."""
    if (
        len(packet.body) != packet.counter
        or packet.number >= NUMBER_LIMIT
        or bool(packet.session) != bool(packet.number)
    ):
        return None
    name = _name_in(packet)
    has = packet.flags & _HAVE
    if name is None or (has and (packet.flags != _HAVE or not packet.number)):
        return None
    return AskPacket(name, Version(packet.number, packet.session), None if has else packet.flags)


def _name_in(packet: ControlPacket) -> str | None:
    if not 0 < packet.counter <= min(LONGEST_NAME, len(packet.body)):
        return None
    return read_name(packet.body[: packet.counter])
