"""What stands between a link and the IP packet with a datagram: tags, labels, and IP in other protocols.

Source: IEEE 802.1Q, 802.1ah, RFC 3032 (MPLS), RFC 2516 (PPPoE), RFC 2784, 2890 and 2637 (GRE), RFC 2003 and 4213 (IP in
IP), RFC 2473 (IP in IPv6), RFC 3378 (EtherIP), RFC 4023 (MPLS in IP).

Tunnels over UDP (VXLAN, Geneve, GTP) are not opened: their datagrams are datagrams, too.
"""

from __future__ import annotations

import struct
from typing import Final

from .link_types import IPV4, IPV6, MPLS, NOT_UDP, PPPOE, Inside, ethernet, ethertype, ip, ppp

_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100, 0x9200, 0x9300})
_MPLS_TYPES: Final = frozenset({MPLS, 0x8848})
_PROVIDER_BACKBONE: Final = 0x88E7
_BRIDGED: Final = 0x6558
_ERSPAN: Final = 0x88BE
_PPP: Final = 0x880B
_UNREAD_TYPES: Final = {
    0x22F3: "tunnel TRILL",
    0x22EB: "tunnel ERSPAN, type III",
    0x8903: "tunnel FabricPath",
    0x88E5: "tunnel MACsec, encrypted",
    0x894F: "tunnel NSH",
}

_IN_IP: Final = frozenset({4, 41, 47, 97, 137})
"""IPv4, IPv6, GRE, EtherIP, MPLS."""
_UNREAD: Final = {
    50: "tunnel ESP, encrypted",
    55: "tunnel of minimal encapsulation",
    94: "tunnel IPIP of KA9Q",
    108: "tunnel IPComp, compressed",
    115: "tunnel L2TP",
}
TUNNELS: Final = _IN_IP | _UNREAD.keys()
"""IP protocol numbers of tunnels."""


def to_ip(inside: Inside, data: bytes) -> int | str:
    """Where the IP packet begins that ``inside`` holds, or why nothing is read of it.

    Raises:
        IndexError, struct.error: it is cut.
    """
    while True:
        protocol, at = inside
        if protocol in (IPV4, IPV6):
            return at
        found = _open(protocol, data, at)
        if isinstance(found, str):
            return found
        inside = found


def in_ip(protocol: int, data: bytes) -> Inside | str:
    """What the payload of an IP packet holds, if its protocol is one of ``TUNNELS``.

    Raises:
        IndexError, struct.error: it is cut.
    """
    if protocol in (4, 41):
        return ip(data, 0)
    if protocol == 47:
        return _gre(data)
    if protocol == 97:
        return ethernet(data, 2)
    if protocol == 137:
        return MPLS, 0
    return _UNREAD[protocol]


def _open(protocol: int, data: bytes, at: int) -> Inside | str:
    if protocol in _TAGS:
        return ethertype(data, at + 2)
    if protocol in _MPLS_TYPES:
        while not data[at + 2] & 1:  # the bottom of the stack
            at += 4
        at += 4
        return ip(data, at) if data[at] >> 4 in (4, 6) else "tunnel MPLS, with another protocol than IP"
    if protocol == PPPOE:
        return ppp(data, at + 6)
    if protocol == _PPP:
        return ppp(data, at)
    if protocol == _PROVIDER_BACKBONE:
        return ethernet(data, at + 4)
    if protocol == _BRIDGED:
        return ethernet(data, at)
    return _UNREAD_TYPES.get(protocol, NOT_UDP)


def _gre(data: bytes) -> Inside | str:
    flags, protocol = struct.unpack_from("!HH", data)
    version = flags & 7
    if version > 1 or flags & 0x4000:  # RFC 1701's routing, which RFC 2784 did away with
        return "tunnel GRE, of an unknown version"
    at = 4
    if flags & 0x8000:
        at += 4  # checksum
    if flags & 0x2000:
        at += 4  # key
    if flags & 0x1000:
        at += 4  # number
    if version == 1 and flags & 0x0080:
        at += 4  # acknowledgement
    if version == 1 and at == len(data):  # an acknowledgement alone
        return NOT_UDP
    if protocol == _ERSPAN:
        return ethernet(data, at + 8 if flags & 0x1000 else at)
    return protocol, at
