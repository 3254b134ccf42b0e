"""What bridges send each other, on a port of their own beside each group that they join: records to bytes, and back.

Raw members of the group never hear it. A packet is four bytes, ``RXB1``, and one MessagePack array.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Final, NamedTuple

import msgspec

from ..message import Address
from ..strangers.decoding import decode_or_none

CONTROL_PORT: Final = 61087
"""Where bridges talk, in the same group and over the same interface as what they carry."""

MOST_HOPS: Final = 15
"""Bridges that a message may cross."""

_MAGIC: Final = b"RXB1"
_PACKET_SIZE: Final = 1200
"""Bytes, about: a packet fits in an Ethernet frame."""

HIGHEST_RANK: Final = (1 << 62) - 1

_Number = Annotated[int, msgspec.Meta(ge=0, le=HIGHEST_RANK)]
_Port = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
_Text = Annotated[str, msgspec.Meta(max_length=128)]


class Identity(NamedTuple):
    """Tells bridges apart, and orders them: the least is preferred.

    Attributes:
        rank: one more than the greatest that was heard when it began, so that a newcomer takes nobody's place.
        number: random, of one opening.
    """

    rank: _Number
    number: _Number


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """How a bridge sees the tree: a configuration message of IEEE 802.1D, with ages in seconds.

    Attributes:
        port: of the group that is bridged.
        bridge: who says it.
        root: the root of the tree, as far as it knows.
        cost: bridges between it and the root.
        age: seconds since the root said so.
        leaving: it stops, and its earlier hellos do not count any more.
    """

    port: _Port
    bridge: Identity
    root: Identity
    cost: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)]
    age: Annotated[float, msgspec.Meta(ge=0, le=3600)]
    leaving: bool = False


class EndRecord(msgspec.Struct, frozen=True, array_like=True):
    """One end that a bridge made.

    Attributes:
        addresses: where its messages come from.
        path: numbers of the bridges that they have crossed, the one that made the end last.
    """

    addresses: Annotated[list[tuple[_Text, _Port]], msgspec.Meta(max_length=64)]
    path: Annotated[tuple[_Number, ...], msgspec.Meta(min_length=1, max_length=MOST_HOPS)]


class Ends(msgspec.Struct, frozen=True, array_like=True, tag="ends"):
    """Ends that a bridge made on this side, so that others recognise their messages as carried ones.

    Attributes:
        port: as in :class:`Hello`.
        ends: some of them.
    """

    port: _Port
    ends: Annotated[list[EndRecord], msgspec.Meta(min_length=1, max_length=256)]


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """A newcomer asks for all :class:`Ends`.

    Attributes:
        port: as in :class:`Hello`.
    """

    port: _Port


Packet = Hello | Ends | Ask

_decode: Final = msgspec.msgpack.Decoder(Packet).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def pack(packet: Packet) -> bytes:
    """The bytes of a packet."""
    return _MAGIC + _encode(packet)


def parse_or_none(data: bytes, port: int) -> Packet | None:
    """The packet that ``data`` is, if it is about the group on ``port``; else None."""
    if not data.startswith(_MAGIC):
        return None
    packet = decode_or_none(_decode, data[len(_MAGIC) :])
    return packet if packet is not None and packet.port == port else None


def pack_ends(port: int, ends: Iterable[tuple[Iterable[Address], tuple[int, ...]]]) -> Iterator[bytes]:
    """Packets that announce all ``ends``, given as their addresses and paths."""
    records: list[EndRecord] = []
    size = 0
    for addresses, path in ends:
        record = EndRecord([*addresses], path)
        cost = len(_encode(record))
        if records and size + cost > _PACKET_SIZE:
            yield pack(Ends(port, records))
            records, size = [], 0
        records.append(record)
        size += cost
    if records:
        yield pack(Ends(port, records))
