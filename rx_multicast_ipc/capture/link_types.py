"""What stands before the network layer on each type of link.

Sources: draft-ietf-opsawg-pcaplinktype (tcpdump.org/linktypes.html); IEEE 802.1Q, 802.2, 802.11; radiotap.org; RFC 1661
(PPP). Each function raises ``IndexError`` or ``struct.error`` where a frame ends before its headers do.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

ETHERNET: Final = 1
PPP: Final = 9
RAW: Final = 101
WIFI: Final = 105

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
ANY_IP: Final = 0
"""In place of an EtherType: the packet says which."""
NO_IP: Final = -1
"""In place of an EtherType: a frame of the link itself."""

_LOOPBACK_FAMILIES: Final = frozenset({2, 10, 24, 28, 30})
"""AF_INET, and AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS."""
_SNAP: Final = b"\xaa\xaa\x03"
_BROADCAST: Final = b"\xff" * 6
_PPP_PROTOCOLS: Final = {0x21: IPV4, 0x57: IPV6, 0x281: 0x8847, 0x283: 0x8848}
_PPP_UNREAD: Final = {0x3D: "PPP multilink", 0x53: "encrypted PPP", 0xFD: "compressed PPP"}


class Payload(NamedTuple):
    """What a link carries.

    Attributes:
        protocol: an EtherType, ``ANY_IP`` or ``NO_IP``.
        at: where it begins.
        broadcast: the link says that it is for everybody.
    """

    protocol: int
    at: int
    broadcast: bool = False


class Inner(NamedTuple):
    """A frame of another link type, from ``at`` on."""

    link: int
    at: int


class Unread(NamedTuple):
    """It may hold datagrams, but is not looked into."""

    name: str


Link = Callable[[bytes, int], Payload | Inner | Unread]
"""Takes a frame and where it begins."""


def ethernet(data: bytes, at: int) -> Payload:
    """IEEE 802.3."""
    return _type_or_length(data, at + 12, at + 14, data[at : at + 6] == _BROADCAST)


def ppp(data: bytes, at: int) -> Payload | Unread:
    """RFC 1661, with or without the HDLC address (RFC 1662), its protocol compressed or not."""
    if data[at : at + 2] == b"\xff\x03":
        at += 2
    protocol = data[at]
    at += 1
    if not protocol & 1:
        protocol = protocol << 8 | data[at]
        at += 1
    if protocol in _PPP_UNREAD:
        return Unread(_PPP_UNREAD[protocol])
    return Payload(_PPP_PROTOCOLS.get(protocol, NO_IP), at)


def _type_or_length(data: bytes, at: int, start: int, broadcast: bool) -> Payload:
    protocol = data[at] << 8 | data[at + 1]
    if protocol > 1500:
        return Payload(protocol, start, broadcast)
    found = _llc(data, start)
    return Payload(found.protocol, found.at, broadcast)


def _llc(data: bytes, at: int) -> Payload:
    """IEEE 802.2, with the SNAP extension (RFC 1042)."""
    if data[at : at + 3] != _SNAP:
        return Payload(NO_IP, at)
    return Payload(data[at + 6] << 8 | data[at + 7], at + 8)


def _cooked(data: bytes, at: int) -> Payload:
    return _type_or_length(data, at + 14, at + 16, data[at + 1] == 1)


def _cooked2(data: bytes, at: int) -> Payload:
    return _type_or_length(data, at, at + 20, data[at + 10] == 1)


def _raw(_: bytes, at: int) -> Payload:
    return Payload(ANY_IP, at)


def _loopback(data: bytes, at: int) -> Payload:
    family = data[at : at + 4]
    known = {int.from_bytes(family, "big"), int.from_bytes(family, "little")} & _LOOPBACK_FAMILIES
    return Payload(ANY_IP if known else NO_IP, at + 4)


def _hdlc(data: bytes, at: int) -> Payload | Inner:
    if data[at : at + 2] == b"\xff\x03":  # PPP on the same line
        return Inner(PPP, at)
    return Payload(data[at + 2] << 8 | data[at + 3], at + 4)


def _wifi(data: bytes, at: int, padded: bool = False) -> Payload | Unread:
    control = data[at] | data[at + 1] << 8
    if control & 0x0C != 0x08 or control & 0x40:
        return Payload(NO_IP, at)  # management, control, or no data
    if control & 0x4000:
        return Unread("encrypted 802.11")
    to_ds, from_ds = control & 0x100, control & 0x200
    size = 30 if to_ds and from_ds else 24
    if control & 0x80:
        if data[at + size] & 0x80:
            return Unread("802.11 A-MSDU")
        size += 6 if control & 0x8000 else 2
    if padded:
        size += -size % 4
    to = data[at + 16 : at + 22] if to_ds else data[at + 4 : at + 10]
    found = _llc(data, at + size)
    return Payload(found.protocol, found.at, to == _BROADCAST)


def _radiotap(data: bytes, at: int) -> Payload | Inner | Unread:
    size, present = struct.unpack_from("<2xHI", data, at)
    flags_at, more = at + 8, present
    while more & 0x8000_0000:
        (more,) = struct.unpack_from("<I", data, flags_at)
        flags_at += 4
    flags = 0
    if present & 1:  # a time stamp, which is aligned
        flags_at += -(flags_at - at) % 8 + 8
    if present & 2:
        flags = data[flags_at]
    if size < 8 or flags & 0x40:  # the check sequence was wrong
        raise IndexError
    return _wifi(data, at + size, bool(flags & 0x20))


def _prism(data: bytes, at: int) -> Inner:
    if data[at : at + 4] in (b"\x80\x21\x10\x01", b"\x80\x21\x10\x02"):  # AVS under the same number
        return _avs(data, at)
    (size,) = struct.unpack_from("<4xI", data, at)
    return Inner(WIFI, at + size if 8 <= size <= 4096 else at + 144)


def _avs(data: bytes, at: int) -> Inner:
    return Inner(WIFI, at + struct.unpack_from("!4xI", data, at)[0])


def _ppi(data: bytes, at: int) -> Inner:
    size, link = struct.unpack_from("<2xHI", data, at)
    return Inner(link, at + size)


def _nflog(data: bytes, at: int) -> Payload:
    """LINKTYPE_NFLOG: values with type and length in the byte order of the host, the packet (type 9) among them."""
    at += 4
    while True:
        size, kind = struct.unpack_from("<HH", data, at)
        if not 4 <= size <= len(data) - at:
            size, kind = struct.unpack_from(">HH", data, at)
        if kind & 0x7FFF == 9:
            return Payload(ANY_IP, at + 4)
        if size < 4:
            raise IndexError
        at += size + -size % 4


def _pktap(data: bytes, at: int) -> Payload | Inner:
    size, kind, link = struct.unpack_from("<III", data, at)
    if size > 0xFFFF:
        size, kind, link = struct.unpack_from(">III", data, at)
    if size < 12:
        raise IndexError
    return Inner(link, at + size) if kind == 1 else Payload(NO_IP, at)


def _pflog(data: bytes, at: int) -> Payload:
    return Payload(ANY_IP if data[at + 1] in _LOOPBACK_FAMILIES else NO_IP, at + (data[at] + 3) // 4 * 4)


LINKS: Final[dict[int, Link]] = {
    0: _loopback,  # NULL
    ETHERNET: ethernet,
    PPP: ppp,
    12: _raw,  # RAW, as BSD numbers it
    14: _raw,  # RAW, as OpenBSD numbers it
    50: ppp,  # PPP_HDLC
    51: lambda _, at: Payload(0x8864, at),  # PPP_ETHER
    RAW: _raw,
    104: _hdlc,  # C_HDLC
    WIFI: _wifi,  # IEEE802_11
    108: _loopback,  # LOOP
    109: lambda _, at: Payload(ANY_IP, at + 12),  # ENC
    113: _cooked,  # LINUX_SLL
    117: _pflog,
    119: _prism,
    127: _radiotap,
    138: lambda data, at: Payload(data[at + 16] << 8 | data[at + 17], at + 18),  # APPLE_IP_OVER_IEEE1394
    149: _pktap,  # as Apple numbered it first
    163: _avs,
    192: _ppi,
    204: lambda data, at: ppp(data, at + 1),  # PPP_WITH_DIR
    228: _raw,  # IPV4
    229: _raw,  # IPV6
    239: _nflog,
    258: _pktap,
    276: _cooked2,  # LINUX_SLL2
}
