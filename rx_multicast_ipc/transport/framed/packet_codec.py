"""Packets: bytes to records and back, without state. Whatever arrives, what comes out is within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from .bundles_and_fragments import LENGTH_SIZE, length_in, messages_of, whole_body
from .packets import (
    BEGIN,
    BUNDLE,
    END,
    EQUAL,
    HEADER_SIZE,
    MAGIC,
    NUMBER_LIMIT,
    WHOLE,
    WINDOW_LIMIT,
    Beat,
    Bye,
    ControlPacket,
    Data,
    Kind,
    MalformedPacket,
    Packet,
    Status,
)

_HEADER: Final = Struct("!BBHIQ")
_BEAT: Final = Struct("!QIIQ")
_STATUS: Final = Struct("!QIIQI")
_BITMAP_LIMIT: Final = WINDOW_LIMIT // 8
_U32: Final = (1 << 32) - 1
_MESSAGE_START: Final = bytes([MAGIC, Kind.MESSAGE << 4, 0, 0])
_NO_SESSION: Final = bytes(4)
_NO_NUMBER: Final = bytes(8)
_NUMBER_LIMIT: Final = NUMBER_LIMIT.to_bytes(8)
_BUNDLES: Final = (Kind.MESSAGE << 4 | BUNDLE & ~WHOLE, Kind.MESSAGE << 4 | EQUAL & ~WHOLE)
_DATA: Final = 1 << 4
START: Final = Struct("!IIQ")
"""The header as three numbers: what begins it, session and number."""

WHOLE_START: Final = MAGIC << 24 | (_DATA | WHOLE) << 16 | 1
"""What begins the header of a DATA packet that holds one message."""
_ASK: Final = 1
_HELLO: Final = 2
_LEAVE: Final = 4


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
        return pack_data(packet.session, packet.number, packet.flags, packet.message_count, packet.body)
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


def pack_data(session: int, number: int, flags: int, count: int, body: bytes) -> bytes:
    """The bytes of a DATA packet."""
    return _HEADER.pack(MAGIC, _DATA | flags, count, session, number) + body


def parse_control(datagram: bytes) -> ControlPacket | None:
    """The header and the body of a packet of any kind; None for what is none."""
    if not is_packet(datagram):
        return None
    _, kind_and_flags, count, session, number = _HEADER.unpack_from(datagram)
    return ControlPacket(kind_and_flags >> 4, kind_and_flags & 15, count, session, number, datagram[HEADER_SIZE:])


def pack_control(packet: ControlPacket) -> bytes:
    """The bytes of a packet of any kind."""
    kind, flags, count, session, number, body = packet
    return _header(kind, flags, count, session, number) + body


def pack_message(session: int, number: int, message: bytes) -> bytes:
    """The bytes of a MESSAGE packet."""
    return _HEADER.pack(MAGIC, Kind.MESSAGE << 4, 0, session, number) + message


def pack_messages(session: int, number: int, messages: Sequence[bytes]) -> bytes:
    """The bytes of a MESSAGE packet with several small messages."""
    flags, count, body = whole_body(messages)
    return _HEADER.pack(MAGIC, Kind.MESSAGE << 4 | flags & ~WHOLE, count, session, number) + body


def messages_in(datagram: bytes) -> list[bytes] | None:
    """The messages in a MESSAGE packet with several; None for what is none."""
    if not is_packet(datagram) or datagram[1] not in _BUNDLES:
        return None
    _, kind_and_flags, count, session, number = _HEADER.unpack_from(datagram)
    if number >= NUMBER_LIMIT:
        return None
    try:
        return messages_of(_parse_data(datagram, kind_and_flags & 15 | WHOLE, count, session, number))
    except MalformedPacket:
        return None


def message_in(datagram: bytes) -> bytes | None:
    """The message in a MESSAGE packet; None for what is none."""
    if not datagram.startswith(_MESSAGE_START) or len(datagram) < HEADER_SIZE:
        return None
    if datagram[4:8] != _NO_SESSION and _NO_NUMBER < datagram[8:16] < _NUMBER_LIMIT:
        return datagram[HEADER_SIZE:]
    return None


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
        sound = count == 0 and size > LENGTH_SIZE and size - LENGTH_SIZE < length_in(body) < NUMBER_LIMIT
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
