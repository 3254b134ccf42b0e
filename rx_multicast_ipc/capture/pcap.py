"""The pcap file format: a header, then a record a packet.

Source: draft-ietf-opsawg-pcap, and pcap-savefile(5). Both byte orders, microseconds and nanoseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from .file_source import Source

Frame = tuple[int, int, bytes, int, int]
"""Its link type, nanoseconds since the Unix epoch, the bytes that were captured, how many it had on the link, and the
number of the interface in the capture."""

NANOSECOND_MAGIC: Final = 0xA1B23C4D
MICROSECOND_MAGIC: Final = 0xA1B2C3D4
FILE_HEADER: Final = "IHHiIII"  # magic, version 2.4, zone, accuracy, snaplen, link type
RECORD_HEADER: Final = "IIII"  # seconds, fraction, bytes captured, bytes on the link

LONGEST: Final = 262_144
"""Bytes of a packet that libpcap captures of a network. Of one that has more, as of USB or D-Bus, so many are kept."""

_LARGEST: Final = 128 << 20
"""Bytes of a packet that libpcap captures of anything. A record that claims more is damaged."""

_NANOSECONDS: Final = {
    struct.pack(f"{order}I", magic): (order, nanoseconds)
    for order in "<>"
    for magic, nanoseconds in ((MICROSECOND_MAGIC, 1000), (NANOSECOND_MAGIC, 1))
}
MAGICS: Final = frozenset(_NANOSECONDS)
"""The four ways in which such a file begins."""


def frames(source: Source, magic: bytes) -> Iterator[Frame]:
    """The packets of a file of which ``magic`` has been read.

    Raises:
        CaptureCorrupt: where the file is cut or damaged.
        OSError: it cannot be read.
    """
    order, unit = _NANOSECONDS[magic]
    header = struct.Struct(order + FILE_HEADER)
    rest = source.read(header.size - len(magic))
    if len(rest) < header.size - len(magic):
        raise source.corrupt("the file's header is cut")
    *_, snaplen, link = header.unpack(magic + rest)
    link &= 0xFFFF  # above it: the length of a frame check sequence
    longest = min(max(snaplen, LONGEST), _LARGEST)
    source.position = header.size

    record = struct.Struct(order + RECORD_HEADER)
    read, unpack, size = source.read, record.unpack, record.size
    while head := read(size):
        if len(head) < size:
            raise source.corrupt(f"a packet's header is cut after {len(head)} of {size} bytes")
        seconds, fraction, captured, length = unpack(head)
        if captured > longest:
            raise source.corrupt(f"a packet claims {captured} bytes, where {longest} are the most; the file is damaged")
        data = read(min(captured, LONGEST))
        got = len(data) + (source.skip(captured - LONGEST) if captured > LONGEST else 0)
        if got < captured:
            raise source.corrupt(f"a packet is cut after {got} of {captured} bytes")
        source.position += size + captured
        yield link, seconds * 1_000_000_000 + fraction * unit, data, length, 0
