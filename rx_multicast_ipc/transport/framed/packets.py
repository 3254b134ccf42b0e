"""The packets of reliable channels, as records.

Every packet begins with 16 bytes, big-endian:

    0   F5       no byte of UTF-8 text, so that text filters of raw peers never match
    1   kind<<4 | flags
    2   count    u16, its meaning depends on the kind
    4   session  u32, random, of one stream of one opening of a sender; 0 in announcements
    8   number   u64, of a packet in its session, from 1

    DATA 1    flags: 1 BEGIN, 2 END, 4 BUNDLE, 8 EQUAL
              BEGIN|END           count 1: the body is one message
              BEGIN|END|BUNDLE    count messages, each u16 length and bytes
              BEGIN|END|EQUAL     count messages of equal length, 1 byte at least, one after the other
              BEGIN               count 0: u64 length of the whole message, and its first bytes
              0, END              count 0: more of its bytes, and the last of them
    BEAT 2    number: the last one sent; count: receivers known; flags: 1 ASK for a STATUS
              u64 oldest number kept | u32 round trip, µs | u32 age of the session, ms | u64 answer to a challenge or 0
    STATUS 3  number: the next one expected; count: bytes of bitmap; flags: 2 HELLO, 4 LEAVE, both in session 0;
              in a HELLO, the highest number is how many others the end knows
              u64 highest number known | u32 how long ago, µs | u32 room, bytes | u64 challenge or 0
              | u32 end: random, of one opening
              | bitmap: bit i (of byte i / 8, least significant first) is set if ``number + i`` is missing
    BYE 4     number: the last one ever sent; count 0, no body
    MESSAGE 5 messages that are not repaired: number: how many the sender sent before them, and 1
              flags 0: one, count 0; BUNDLE, EQUAL: several, as in DATA
    6 and on  of those who ask for them: see :class:`packet_port.PacketPort`
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from ...group import Group
from ...message import Address
from ...option_values.reliable import LARGEST_WINDOW

MAGIC: Final = 0xF5
"""The first byte of every packet."""

HEADER_SIZE: Final = 16
"""Bytes."""

_NETWORK_PACKET: Final = 1400
"""Bytes of a packet on a network: fits in an Ethernet frame, with room for tunnels."""

_LOOPBACK_PACKET: Final = 16_000
"""Bytes of a packet that stays on this machine."""

WINDOW_LIMIT: Final = LARGEST_WINDOW
"""Packets that a STATUS can tell of, and that a receiver takes beyond the next expected one."""

NUMBER_LIMIT: Final = 1 << 63
"""Numbers and lengths are below it: what adds to them stays in 64 bits."""


def packet_size(group: Group) -> int:
    """Bytes of the largest packet that is worth to send there, with everything around it."""
    return _LOOPBACK_PACKET if group.is_loopback else _NETWORK_PACKET


class MalformedPacket(Exception):
    """Bytes that are no packet of this protocol."""


class Kind(IntEnum):
    """What a packet is for."""

    DATA = 1
    BEAT = 2
    STATUS = 3
    BYE = 4
    MESSAGE = 5


BEGIN: Final = 1
END: Final = 2
WHOLE: Final = BEGIN | END
BUNDLE: Final = WHOLE | 4
EQUAL: Final = WHOLE | 8
"""Flags of a DATA packet, in the combinations that there are; see above."""


class Data(NamedTuple):
    """A numbered packet.

    Attributes:
        session: of the sender's stream.
        number: in the session.
        flags: what it holds: BEGIN, END, WHOLE, BUNDLE, EQUAL, or 0.
        message_count: messages in it; 0 for a fragment.
        body: what follows the header.
    """

    session: int
    number: int
    flags: int
    message_count: int
    body: bytes


class Beat(NamedTuple):
    """What a sender says of its stream.

    Attributes:
        session: of the stream.
        number: the last one sent; 0 if none was.
        oldest: the oldest number that can still be repeated; ``number + 1`` if none can.
        members: receivers known.
        round_trip: seconds, as the sender measured it; 0 if it has not.
        age: seconds since the first packet.
        answer: the challenge that this answers; 0 for none.
        ask: whether receivers are asked for a STATUS.
    """

    session: int
    number: int
    oldest: int
    members: int = 0
    round_trip: float = 0.0
    age: float = 0.0
    answer: int = 0
    ask: bool = False


class Status(NamedTuple):
    """What a receiver says to a sender of the sender's stream, or, in session 0, to all that it is there or leaves.

    Attributes:
        session: of the stream; 0 for an announcement.
        number: the next one expected: it has everything before it.
        highest: the highest number that it knows to be sent.
        ago: seconds since it learnt of that one.
        room: bytes that its receive buffer holds.
        challenge: to be answered by a BEAT; 0 for none.
        missing: bit i is set if ``number + i`` is missing.
        hello, leave: in an announcement, whether it joins or leaves.
        end: tells the receiver from others, whatever address it speaks from.
    """

    session: int
    number: int = 0
    highest: int = 0
    ago: float = 0.0
    room: int = 0
    challenge: int = 0
    missing: int = 0
    hello: bool = False
    leave: bool = False
    end: int = 0


class Bye(NamedTuple):
    """A sender ends its stream.

    Attributes:
        session: of the stream.
        number: the last one sent.
    """

    session: int
    number: int


class ControlPacket(NamedTuple):
    """A packet of any kind, whose meaning is not looked at.

    Attributes:
        kind: of :class:`Kind`, or another one, 0 to 15.
        flags: 0 to 15.
        counter, session, number: as the header has them; the counter is what it calls count.
        body: what follows it.
    """

    kind: int
    flags: int
    counter: int
    session: int
    number: int
    body: bytes


Packet = Data | Beat | Status | Bye

Datagram = tuple[bytes, Address | None]
"""The bytes of a packet and where it goes: to one address, or, with None, to the group."""
