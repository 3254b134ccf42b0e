"""From a captured frame to the protocol in it, for each type of link.

Source: draft-ietf-opsawg-pcaplinktype (tcpdump.org/linktypes.html), IEEE 802.3, 802.11, radiotap.org, RFC 1661 (PPP),
RFC 2516 (PPPoE).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

Inside = tuple[int, int]
"""An EtherType, and where in the frame that begins which it names."""

ETHERNET: Final = 1
RAW: Final = 101
LINUX_SLL: Final = 113
PKTAP: Final = 258
LINUX_SLL2: Final = 276

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
MPLS: Final = 0x8847
PPPOE: Final = 0x8864

NOT_UDP: Final = "not UDP"

_FIRST_ETHERTYPE: Final = 0x0600
"""Below it is a length (IEEE 802.3)."""
_SNAP: Final = bytes.fromhex("aaaa03")
_LOOPBACK_FAMILIES: Final = frozenset({2, 10, 24, 28, 30})
"""AF_INET, and AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS."""
_PPP: Final = {0x0021: IPV4, 0x0057: IPV6, 0x0281: MPLS, 0x0283: MPLS}
_PPP_UNREAD: Final = {0x003D: "tunnel PPP multilink", 0x00FD: "tunnel PPP, compressed", 0x0053: "tunnel PPP, encrypted"}
_NFLOG_PAYLOAD: Final = 9


def find(link: int, data: bytes) -> Inside | str:
    """What is in a frame, or why nothing is read of it.

    Raises:
        IndexError, struct.error: it is cut.
    """
    read = _links.get(link)
    return f"link type {link}" if read is None else read(data)


def way(link: int, data: bytes) -> tuple[bytes, ...]:
    """What cooked frames tell of the interface, and whether they came or went."""
    if link == LINUX_SLL2:
        return data[4:8], data[10:11]
    return (data[:2],) if link == LINUX_SLL else ()


def is_to_many(link: int, data: bytes) -> bool:
    """Whether the link says that a frame is a broadcast or a multicast."""
    if link == ETHERNET:
        return bool(data[0] & 1)
    if link in (LINUX_SLL, LINUX_SLL2):
        packet_type = data[1] if link == LINUX_SLL else data[10]
        return packet_type in (1, 2)
    if link == PKTAP:
        size, _, inner = struct.unpack_from("<III", data)
        return inner == ETHERNET and bool(data[size] & 1)
    return False


def ethernet(data: bytes, at: int = 0) -> Inside | str:
    """An Ethernet frame that begins at ``at``."""
    return ethertype(data, at + 12)


def ethertype(data: bytes, at: int) -> Inside | str:
    """An EtherType, and what it names behind it; or, as IEEE 802.3 has it, a length and an LLC header."""
    protocol = data[at] << 8 | data[at + 1]
    return _llc(data, at + 2) if protocol < _FIRST_ETHERTYPE else (protocol, at + 2)


def ppp(data: bytes, at: int) -> Inside | str:
    """A PPP frame, from its protocol on, or the HDLC header before it."""
    if data[at : at + 2] == b"\xff\x03":
        at += 2
    protocol, size = (data[at], 1) if data[at] & 1 else (data[at] << 8 | data[at + 1], 2)
    if protocol in _PPP:
        return _PPP[protocol], at + size
    return _PPP_UNREAD.get(protocol, NOT_UDP)


def ip(data: bytes, at: int) -> Inside | str:
    """An IP packet of either version."""
    return (IPV6 if data[at] >> 4 == 6 else IPV4), at


def _llc(data: bytes, at: int) -> Inside | str:
    if data[at : at + 3] == _SNAP:
        return data[at + 6] << 8 | data[at + 7], at + 8
    _ = data[at + 2]
    return NOT_UDP


def _cooked(data: bytes) -> Inside | str:
    return ethertype(data, 14)


def _cooked2(data: bytes) -> Inside | str:
    protocol = data[0] << 8 | data[1]
    return _llc(data, 20) if protocol < _FIRST_ETHERTYPE else (protocol, 20)


def _raw(data: bytes) -> Inside | str:
    return ip(data, 0)


def _loopback(data: bytes) -> Inside | str:
    family = data[:4]
    known = {int.from_bytes(family, "big"), int.from_bytes(family, "little")} & _LOOPBACK_FAMILIES
    return ip(data, 4) if known else NOT_UDP


def _ppp(data: bytes) -> Inside | str:
    return ppp(data, 0)


def _ppp_with_direction(data: bytes) -> Inside | str:
    return ppp(data, 1)


def _pppoe(_: bytes) -> Inside | str:
    return PPPOE, 0


def _cisco_hdlc(data: bytes) -> Inside | str:
    return ethertype(data, 2)


def _nflog(data: bytes) -> Inside | str:
    """Netfilter's log: attributes in the byte order of the machine, of which one is the packet."""
    order = "<" if 4 <= struct.unpack_from("<H", data, 4)[0] <= len(data) else ">"
    at = 4
    while at + 4 <= len(data):
        size, kind = struct.unpack_from(f"{order}HH", data, at)
        if size < 4:
            raise IndexError
        if kind & 0x7FFF == _NFLOG_PAYLOAD:
            return ip(data, at + 4)
        at += size + -size % 4
    return NOT_UDP


def _within(link: int, data: bytes, at: int) -> Inside | str:
    """A frame of another link type in this one."""
    if link in _wrapped:
        raise IndexError
    inside = find(link, data[at:])
    return inside if isinstance(inside, str) else (inside[0], at + inside[1])


def _pktap(data: bytes) -> Inside | str:
    """Apple's packet tap, which says of each packet what link it was on."""
    size, _, link = struct.unpack_from("<III", data)
    return _within(link, data, size)


def _ppi(data: bytes) -> Inside | str:
    size, link = struct.unpack_from("<HI", data, 2)
    return _within(link, data, size)


def _radiotap(data: bytes) -> Inside | str:
    size, present = struct.unpack_from("<HI", data, 2)
    at, word = 8, present
    while word & 1 << 31:
        (word,) = struct.unpack_from("<I", data, at)
        at += 4
    if present & 1:  # a time, of 8 bytes
        at += -at % 8 + 8
    flags = data[at] if present & 2 else 0
    return _wireless(data, size, padded=bool(flags & 0x20))


def _avs(data: bytes) -> Inside | str:
    return _wireless(data, struct.unpack_from(">I", data, 4)[0])


def _prism(data: bytes) -> Inside | str:
    return _avs(data) if data[:2] == b"\x80\x21" else _wireless(data, 144)


def _plain_wireless(data: bytes) -> Inside | str:
    return _wireless(data, 0)


def _wireless(data: bytes, start: int, *, padded: bool = False) -> Inside | str:
    """An IEEE 802.11 frame."""
    (control,) = struct.unpack_from("<H", data, start)
    kind, subtype = control >> 2 & 3, control >> 4 & 15
    if kind != 2 or subtype & 4:  # no data
        return NOT_UDP
    if control & 0x4000:
        return "tunnel IEEE 802.11, encrypted"
    if control & 0x0400 or data[start + 22] & 15:
        return "tunnel IEEE 802.11, fragmented"
    size = 30 if control & 0x0300 == 0x0300 else 24
    if subtype & 8:
        if data[start + size] & 0x80:
            return "tunnel IEEE 802.11, aggregated"
        size += 6 if control & 0x8000 else 2
    if padded:
        size += -size % 4
    return _llc(data, start + size)


def _pflog(data: bytes) -> Inside | str:
    return ip(data, data[0] + -data[0] % 4)


def _enc(data: bytes) -> Inside | str:
    return ip(data, 12)


def _firewire(data: bytes) -> Inside | str:
    return ethertype(data, 16)


_links: Final[dict[int, Callable[[bytes], Inside | str]]] = {
    0: _loopback,  # NULL
    ETHERNET: ethernet,
    9: _ppp,
    12: _raw,  # RAW, as BSD numbers it
    14: _raw,  # RAW, as OpenBSD numbers it
    50: _ppp,  # PPP_HDLC
    51: _pppoe,  # PPP_ETHER
    RAW: _raw,
    104: _cisco_hdlc,
    105: _plain_wireless,
    108: _loopback,  # LOOP
    109: _enc,
    LINUX_SLL: _cooked,
    117: _pflog,
    119: _prism,
    127: _radiotap,
    138: _firewire,
    163: _avs,
    166: _ppp_with_direction,  # PPP_PPPD
    192: _ppi,
    204: _ppp_with_direction,
    228: _raw,  # IPV4
    229: _raw,  # IPV6
    239: _nflog,
    PKTAP: _pktap,
    LINUX_SLL2: _cooked2,
}

_wrapped: Final = frozenset({192, PKTAP})
"""Links that name another, which is none of these."""
