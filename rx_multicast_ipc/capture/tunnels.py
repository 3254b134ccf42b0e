"""What carries IP or Ethernet inside a frame or an IP packet.

Sources: RFC 3032 (MPLS), RFC 4385 (control word), RFC 2516 (PPPoE), RFC 2784, 2890 (GRE), RFC 2637 (PPTP's GRE), RFC
2003 and 4213 (IP in IP).
"""

from __future__ import annotations

import struct
from typing import Final

from .link_types import ANY_IP, ETHERNET, NO_IP, PPP, Inner, Payload, Unread, ppp

IP_IN_IP: Final = {4: 0x0800, 41: 0x86DD}
"""IP protocol numbers, and the EtherTypes of what they carry."""
GRE: Final = 47
UNREAD: Final = {50: "ESP", 97: "EtherIP", 115: "L2TP", 137: "MPLS in IP", 98: "IP encapsulation 98", 108: "IPComp"}
"""IP protocol numbers of what is not looked into."""

VLAN_TAGS: Final = (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)
MPLS: Final = (0x8847, 0x8848)
PPPOE: Final = 0x8864
UNREAD_TYPES: Final = {0x88E5: "MACsec", 0x88E7: "802.1ah", 0x894F: "NSH", 0x4305: "batman-adv", 0x8926: "VN-Tag"}
"""EtherTypes of what is not looked into."""

_TRANSPARENT_ETHERNET: Final = 0x6558
_GRE_PPP: Final = 0x880B
_GRE_UNREAD: Final = {0x88BE: "ERSPAN", 0x22EB: "ERSPAN", 0x883E: "WCCP"}


def mpls(data: bytes, at: int) -> Payload | Inner | Unread:
    """Behind the stack of labels: IP, or Ethernet behind a control word."""
    while not data[at + 2] & 1:
        at += 4
    at += 4
    first = data[at] >> 4
    if first in (4, 6):
        return Payload(ANY_IP, at)
    return Inner(ETHERNET, at + 4) if first == 0 else Unread("MPLS without IP")


def pppoe(data: bytes, at: int) -> Payload | Unread:
    """A session's packet."""
    return ppp(data, at + 6)


def gre(data: bytes, at: int) -> Payload | Inner | Unread:
    """Both versions, with checksum, key and sequence number."""
    flags, protocol = struct.unpack_from("!HH", data, at)
    at += 4
    version = flags & 7
    if flags & 0x4000 or version > 1:
        return Unread("GRE with routing" if version < 2 else f"GRE version {version}")
    at += 4 * bool(flags & 0x8000) + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
    if version == 1:
        at += 4 * bool(flags & 0x80)
        if at >= len(data) or protocol != _GRE_PPP:
            return Payload(NO_IP, at)
        return Inner(PPP, at)
    if protocol == _TRANSPARENT_ETHERNET:
        return Inner(ETHERNET, at)
    if protocol in _GRE_UNREAD:
        return Unread(_GRE_UNREAD[protocol])
    return Payload(protocol, at)
