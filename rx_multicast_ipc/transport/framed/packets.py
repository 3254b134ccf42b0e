"""The packets of reliable channels: bytes to records and back, without state.

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
    STATUS 3  number: the next one expected; count: bytes of bitmap; flags: 2 HELLO, 4 LEAVE, both in session 0
              u64 highest number known | u32 how long ago, µs | u32 room, bytes | u64 challenge or 0
              | u32 end: random, of one opening
              | bitmap: bit i (of byte i / 8, least significant first) is set if ``number + i`` is missing
    BYE 4     number: the last one ever sent; count 0, no body

Whatever arrives, :func:`parse` and :func:`messages_of` return records within these bounds or raise
:class:`MalformedPacket`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Final, NamedTuple

from ...reliable import LARGEST_WINDOW

MAGIC: Final = 0xF5
"""The first byte of every packet."""

HEADER_SIZE: Final = 16
"""Bytes."""

LENGTH_SIZE: Final = 8
"""Bytes of the total length in the first fragment of a message."""

WINDOW_LIMIT: Final = LARGEST_WINDOW
"""Packets that a STATUS can tell of, and that a receiver takes beyond the next expected one."""

NUMBER_LIMIT: Final = 1 << 63
"""Numbers and lengths are below it: what adds to them stays in 64 bits."""

MOST_IN_BUNDLE: Final = 0xFFFF
"""Messages in one packet, and bytes of one of them."""

_HEADER: Final = Struct("!BBHIQ")
_BEAT: Final = Struct("!QIIQ")
_STATUS: Final = Struct("!QIIQI")
_LENGTH: Final = Struct("!Q")
_BITMAP_LIMIT: Final = WINDOW_LIMIT // 8
_U32: Final = (1 << 32) - 1


class MalformedPacket(Exception):
    """Bytes that are no packet of this protocol."""


class Kind(IntEnum):
    """What a packet is for."""

    DATA = 1
    BEAT = 2
    STATUS = 3
    BYE = 4


class DataFlag(IntFlag):
    """What a DATA packet holds. Used as plain numbers: arithmetic on the enumeration itself is slow."""

    BEGIN = 1
    END = 2
    BUNDLE = 4
    EQUAL = 8


BEGIN: Final = 1
WHOLE: Final = 3
BUNDLE: Final = 7
EQUAL: Final = 11
END: Final = 2

_ASK: Final = 1
_HELLO: Final = 2
_LEAVE: Final = 4


class Data(NamedTuple):
    """A numbered packet.

    Attributes:
        session: of the sender's stream.
        number: in the session.
        flags: of :class:`DataFlag`, in a permitted combination.
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


Packet = Data | Beat | Status | Bye


def is_packet(datagram: bytes) -> bool:
    """Whether it claims to be one of these packets."""
    return len(datagram) >= HEADER_SIZE and datagram[0] == MAGIC


def parse(datagram: bytes) -> Packet:
    """The record of one packet. Raises ``MalformedPacket``, and nothing else, for any other bytes."""
    if not is_packet(datagram):
        raise MalformedPacket("no framed packet")
    _, kind_and_flags, count, session, number = _HEADER.unpack_from(datagram)
    kind, flags = kind_and_flags >> 4, kind_and_flags & 15
    if number >= NUMBER_LIMIT:
        raise MalformedPacket("number out of range")
    if kind == 1:
        return _parse_data(datagram, flags, count, session, number)
    if kind == 2:
        return _parse_beat(datagram, flags, count, session, number)
    if kind == 3:
        return _parse_status(datagram, flags, count, session, number)
    if kind == 4 and len(datagram) == HEADER_SIZE and flags == count == 0 and session:
        return Bye(session, number)
    raise MalformedPacket("unknown kind of packet")


def pack(packet: Packet) -> bytes:
    """The bytes of one packet; values out of a field's range become the nearest in it."""
    if isinstance(packet, Data):
        return _header(Kind.DATA, packet.flags, packet.message_count, packet.session, packet.number) + packet.body
    if isinstance(packet, Beat):
        header = _header(Kind.BEAT, _ASK * packet.ask, min(packet.members, 0xFFFF), packet.session, packet.number)
        round_trip, age = _fraction(packet.round_trip, 1e6), _fraction(packet.age, 1e3)
        return header + _BEAT.pack(packet.oldest, round_trip, age, packet.answer)
    if isinstance(packet, Status):
        bitmap = packet.missing.to_bytes((packet.missing.bit_length() + 7) // 8, "little")
        flags = _HELLO * packet.hello | _LEAVE * packet.leave
        header = _header(Kind.STATUS, flags, len(bitmap), packet.session, packet.number)
        ago, room = _fraction(packet.ago, 1e6), min(packet.room, _U32)
        return header + _STATUS.pack(packet.highest, ago, room, packet.challenge, packet.end) + bitmap
    return _header(Kind.BYE, 0, 0, packet.session, packet.number)


def whole_body(messages: Sequence[bytes]) -> tuple[int, int, bytes]:
    """The flags, count and body of a packet that holds these messages whole: one, or several that fit."""
    count, first = len(messages), len(messages[0])
    if count == 1:
        return WHOLE, 1, messages[0]
    if first and all(len(message) == first for message in messages):
        return EQUAL, count, b"".join(messages)
    parts: list[bytes] = []
    for message in messages:
        parts += (len(message).to_bytes(2), message)
    return BUNDLE, count, b"".join(parts)


def first_fragment(total: int, part: bytes) -> bytes:
    """The body of the first fragment of a message of ``total`` bytes."""
    return _LENGTH.pack(total) + part


def total_length(data: Data) -> int:
    """The length of the whole message, from its first fragment."""
    return _LENGTH.unpack_from(data.body)[0]


def messages_of(data: Data) -> list[bytes]:
    """The messages that a packet holds whole; raises ``MalformedPacket`` where its lengths contradict each other."""
    flags, count, body = data.flags, data.message_count, data.body
    if flags == WHOLE:
        return [body]
    if flags == EQUAL:
        size = len(body) // count
        return [body[start : start + size] for start in range(0, len(body), size)]
    messages: list[bytes] = []
    at, end = 0, len(body)
    while at + 2 <= end:
        start = at + 2
        at = start + (body[at] << 8 | body[at + 1])
        messages.append(body[start:at])
    if at != end or len(messages) != count:
        raise MalformedPacket("lengths in a bundle contradict each other")
    return messages


def _parse_data(datagram: bytes, flags: int, count: int, session: int, number: int) -> Data:
    body = datagram[HEADER_SIZE:]
    size = len(body)
    if not session or not number:
        raise MalformedPacket("data without session or number")
    if flags == WHOLE:
        sound = count == 1
    elif flags == EQUAL:
        sound = count > 0 and size >= count and size % count == 0
    elif flags == BUNDLE:
        sound = 0 < count <= size // 2
    elif flags == BEGIN:
        sound = count == 0 and size > LENGTH_SIZE and size - LENGTH_SIZE < _LENGTH.unpack_from(body)[0] < NUMBER_LIMIT
    else:
        sound = flags in (0, END) and count == 0 and size > 0
    if not sound:
        raise MalformedPacket("data that contradict themselves")
    return Data(session, number, flags, count, body)


def _parse_beat(datagram: bytes, flags: int, count: int, session: int, number: int) -> Beat:
    if len(datagram) != HEADER_SIZE + _BEAT.size or flags & ~_ASK or not session:
        raise MalformedPacket("no sound beat")
    oldest, round_trip, age, answer = _BEAT.unpack_from(datagram, HEADER_SIZE)
    if not 0 < oldest <= number + 1:
        raise MalformedPacket("a beat that keeps what it never sent")
    return Beat(session, number, oldest, count, round_trip / 1e6, age / 1e3, answer, bool(flags & _ASK))


def _parse_status(datagram: bytes, flags: int, count: int, session: int, number: int) -> Status:
    start = HEADER_SIZE + _STATUS.size
    if len(datagram) != start + count or count > _BITMAP_LIMIT or flags & ~(_HELLO | _LEAVE):
        raise MalformedPacket("no sound status")
    if (session == 0) != bool(flags):
        raise MalformedPacket("an announcement in a session, or a status in none")
    highest, ago, room, challenge, end = _STATUS.unpack_from(datagram, HEADER_SIZE)
    if highest >= NUMBER_LIMIT:
        raise MalformedPacket("number out of range")
    missing = int.from_bytes(datagram[start:], "little")
    hello, leave = bool(flags & _HELLO), bool(flags & _LEAVE)
    return Status(session, number, highest, ago / 1e6, room, challenge, missing, hello, leave, end)


def _header(kind: int, flags: int, count: int, session: int, number: int) -> bytes:
    return _HEADER.pack(MAGIC, kind << 4 | flags, count, session, number)


def _fraction(seconds: float, unit: float) -> int:
    return min(max(int(seconds * unit), 0), _U32)
