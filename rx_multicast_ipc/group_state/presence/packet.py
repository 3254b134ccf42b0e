"""The packet by which a member announces itself: a record to bytes, and back, without state.

PRESENCE 6   flags: 1 HELLO, 2 PROBE, 4 LEAVE; count: bytes of the name
             session: of the end that speaks; number: of its packets of this kind, from 1
             u32 interval, ms | name, UTF-8 | about
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ...option_values.presence import LONGEST_ABOUT, LONGEST_INTERVAL, LONGEST_NAME, SHORTEST_INTERVAL, is_name
from ...strangers.decoding import text_or_none
from ...transport.framed.packets import NUMBER_LIMIT, ControlPacket

PRESENCE: Final = 6
"""The kind of packet."""

HELLO: Final = 1
"""Just opened: the other members are to announce themselves."""

PROBE: Final = 2
"""To one end alone: it is to answer at once."""

LEAVE: Final = 4
"""The last one of this end."""

_INTERVAL_SIZE: Final = 4


class PresencePacket(NamedTuple):
    """What an end says of itself.

    Attributes:
        session: of this opening of the end.
        number: of its packets of this kind, from 1: one that is not higher than the last came late, or twice.
        flags: of HELLO, PROBE, LEAVE.
        interval: seconds between its beats.
        name, about: see :class:`rx_multicast_ipc.Presence`.
    """

    session: int
    number: int
    flags: int
    interval: float
    name: str
    about: bytes


def pack_presence(packet: PresencePacket) -> ControlPacket:
    """The packet, for :class:`~rx_multicast_ipc.transport.framed.packet_port.PacketPort`."""
    name = packet.name.encode()
    body = round(packet.interval * 1000).to_bytes(_INTERVAL_SIZE) + name + packet.about
    return ControlPacket(PRESENCE, packet.flags, len(name), packet.session, packet.number, body)


def read_presence(packet: ControlPacket) -> PresencePacket | None:
    """What a packet of this kind says; None for one that this library would not send."""
    _, flags, size, session, number, body = packet
    if flags & ~(HELLO | PROBE | LEAVE) or not session or not 0 < number < NUMBER_LIMIT:
        return None
    end = _INTERVAL_SIZE + size
    if not 0 < size <= LONGEST_NAME or not end <= len(body) <= end + LONGEST_ABOUT:
        return None
    interval = int.from_bytes(body[:_INTERVAL_SIZE]) / 1000
    name = text_or_none(body[_INTERVAL_SIZE:end])
    if name is None or not is_name(name) or not SHORTEST_INTERVAL <= interval <= LONGEST_INTERVAL:
        return None
    return PresencePacket(session, number, flags, interval, name, body[end:])
