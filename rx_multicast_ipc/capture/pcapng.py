"""The pcapng file format: sections of blocks, of which some hold packets and some say from which interface.

Source: draft-ietf-opsawg-pcapng. Sections in either byte order, any number of interfaces each with a clock resolution
of its own, Enhanced, Simple and the obsolete Packet Blocks; other blocks are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from .file_source import Source
from .pcap import Frame

SECTION_HEADER: Final = 0x0A0D0D0A  # the same in both byte orders
MAGIC: Final = struct.pack("<I", SECTION_HEADER)

_INTERFACE: Final = 1
_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_ENHANCED_PACKET: Final = 6

_BYTE_ORDERS: Final = {struct.pack(f"{order}I", 0x1A2B3C4D): order for order in "<>"}

_TIME_RESOLUTION: Final = 9
_TIME_OFFSET: Final = 14

_SHORTEST: Final = 12
_LONGEST: Final = 1 << 24
"""Bytes of a block. One that claims more is damaged."""

_LAST: Final = 253_402_300_799 * 1_000_000_000
"""The last second of the year 9999 in nanoseconds, where clocks end: within it, floats are rounded to the next year."""


class _Interface(NamedTuple):
    link: int
    snaplen: int
    ticks: int = 1_000_000
    """A second."""
    offset: int = 0
    """Nanoseconds to add."""


def frames(source: Source, magic: bytes) -> Iterator[Frame]:
    """The packets of a file of which ``magic`` has been read.

    A Simple Packet Block has no time, and its packet gets none: 0.

    Raises:
        CaptureCorrupt: where the file is cut or damaged.
        OSError: it cannot be read.
    """
    order = "<"
    interfaces: list[_Interface] = []
    kind = magic
    while kind:
        if len(kind) < 4:
            raise source.corrupt("a block's header is cut")
        if kind == MAGIC:
            size, order = _section(source)
            interfaces = []
            body = _rest(source, order, size, 12)
        else:
            (size,) = struct.unpack(f"{order}I", _take(source, 4))
            body = _rest(source, order, size, 8)
            try:
                read = _blocks.get(struct.unpack(f"{order}I", kind)[0])
                if read is not None and (frame := read(order, body, interfaces)):
                    if not 0 <= frame[1] < _LAST:
                        raise source.corrupt("a packet's time is out of range; the file is damaged")
                    yield frame
            except (struct.error, IndexError) as error:
                raise source.corrupt("a block contradicts itself; the file is damaged") from error
        source.position += size
        kind = source.read(4)


def _section(source: Source) -> tuple[int, str]:
    """The size of a Section Header Block and the byte order of its section."""
    head = _take(source, 8)
    order = _BYTE_ORDERS.get(head[4:])
    if order is None:
        raise source.corrupt("a section has no byte order; the file is damaged")
    return struct.unpack(f"{order}I", head[:4])[0], order


def _rest(source: Source, order: str, size: int, taken: int) -> bytes:
    """What is left of a block between what was ``taken`` and its size, which comes again at its end."""
    if size % 4 or not max(_SHORTEST, taken + 4) <= size <= _LONGEST:
        raise source.corrupt(f"a block claims a size of {size} bytes; the file is damaged")
    body = _take(source, size - taken)
    if body[-4:] != struct.pack(f"{order}I", size):
        raise source.corrupt("a block's two sizes differ; the file is damaged")
    return body[:-4]


def _take(source: Source, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise source.corrupt("a block is cut")
    return data


def _interface(order: str, body: bytes, interfaces: list[_Interface]) -> None:
    link, snaplen = struct.unpack_from(f"{order}H2xI", body)
    found = _Interface(link, snaplen)
    at = 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, at)
        if code == 0:
            break
        if code == _TIME_RESOLUTION:
            exponent = body[at + 4]
            found = found._replace(ticks=2 ** (exponent & 0x7F) if exponent & 0x80 else 10**exponent)
        elif code == _TIME_OFFSET:
            found = found._replace(offset=struct.unpack_from(f"{order}q", body, at + 4)[0] * 1_000_000_000)
        at += 4 + length + -length % 4
    interfaces.append(found)


def _packet(layout: str) -> Callable[[str, bytes, list[_Interface]], Frame]:
    def read(order: str, body: bytes, interfaces: list[_Interface]) -> Frame:
        number: int
        number, high, low, captured, length = struct.unpack_from(order + layout, body)
        interface = interfaces[number]
        data = body[20 : 20 + captured]
        if len(data) < captured:
            raise IndexError
        ticks = (high << 32) + low
        return interface.link, ticks * 1_000_000_000 // interface.ticks + interface.offset, data, length, number

    return read


def _simple_packet(order: str, body: bytes, interfaces: list[_Interface]) -> Frame:
    (length,) = struct.unpack_from(f"{order}I", body)
    captured = min(length, interfaces[0].snaplen or length)
    data = body[4 : 4 + captured]
    if len(data) < captured:
        raise IndexError
    return interfaces[0].link, 0, data, length, 0


_blocks: Final[dict[int, Callable[[str, bytes, list[_Interface]], Frame | None]]] = {
    _INTERFACE: _interface,
    _PACKET: _packet("H2xIIII"),
    _SIMPLE_PACKET: _simple_packet,
    _ENHANCED_PACKET: _packet("IIIII"),
}
