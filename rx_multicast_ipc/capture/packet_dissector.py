"""From the bytes of a captured frame to the UDP datagram in it, through whatever carries it.

Sources: RFC 791 (IPv4), RFC 8200 (IPv6) with RFC 4302 (AH), RFC 768 (UDP). A checksum is looked at where pieces were
put together, to tell those of different datagrams; elsewhere it is not: where a network card computes checksums, what
is captured on the sending machine has none yet.
"""

from __future__ import annotations

import socket
import struct
from functools import lru_cache
from typing import Final, NamedTuple

from . import tunnels
from .ip_reassembly import Fragments
from .link_types import ANY_IP, IPV4, IPV6, LINKS, Inner, Payload, Unread

UDP: Final = 17

_CARRIED: Final = frozenset({UDP, tunnels.GRE, *tunnels.IP_IN_IP})
_DEEPEST: Final = 32
"""Headers of tunnels, tags and labels in one frame."""

_IPV4: Final = struct.Struct("!B x HHH x B 2x 4s 4s")  # version and length, total length, id, fragment, protocol
_IPV6: Final = struct.Struct("!4x H B x 16s 16s")  # payload length, next header
_UDP: Final = struct.Struct("!HHH")

_EXTENSIONS: Final = frozenset({0, 43, 60, 135, 139, 140})
"""Hop-by-hop, routing, destination options, mobility, HIP, shim6: all of the layout of RFC 6564."""
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51

NOT_UDP: Final = "not UDP"
CUT: Final = "cut short when captured (snaplen)"
MALFORMED: Final = "malformed"
IN_PIECES: Final = "a piece is missing"
WRONG_PIECES: Final = "pieces do not belong together"
_LOST: Final = (CUT, MALFORMED, IN_PIECES, WRONG_PIECES)
_UNREAD: Final = ("link type ", "tunnel: ")

_WAITING: Final = ""
_EVERYBODY: Final = b"\xff" * 4


def is_loss(reason: str) -> bool:
    """Whether what was skipped for ``reason`` may have been a message."""
    return reason in _LOST or is_unread(reason)


def is_unread(reason: str) -> bool:
    """Whether what was skipped for ``reason`` could not be looked into."""
    return reason.startswith(_UNREAD)


class Found(NamedTuple):
    """A UDP datagram.

    Attributes:
        source, destination: packed addresses, of 4 or 16 bytes.
        source_port, port: from and to.
        data: the payload.
        direct: sent neither to a multicast group nor to everybody.
    """

    source: bytes
    destination: bytes
    source_port: int
    port: int
    data: bytes
    direct: bool


class _Frame(NamedTuple):
    """What is the same for all layers of a frame: its time, whether the link is to everybody, how deep this is."""

    time: int
    broadcast: bool
    depth: int


class Dissector:
    """Takes frames, and finds the datagrams in them; keeps the pieces of those that came in several.

    Attributes:
        skipped: how many frames held no datagram, by reason.
    """

    def __init__(self) -> None:
        self.skipped: dict[str, int] = {}
        self._fragments = Fragments()

    def dissect(self, link: int, data: bytes, length: int, time: int = 0) -> Found | None:
        """The datagram of a frame.

        Args:
            link: the link's type.
            data: what was captured.
            length: bytes it had on the link.
            time: nanoseconds, when it was captured.
        """
        try:
            found = self._layers(Inner(link, 0), data, _Frame(time, False, 0))
        except (struct.error, IndexError):
            found = CUT if len(data) < length else MALFORMED
        if isinstance(found, Found):
            return found
        if found:
            self.skip(found)
        return None

    def skip(self, reason: str) -> None:
        """Count a frame as skipped."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def counts(self) -> dict[str, int]:
        """Frames that were skipped, and datagrams of which no more than pieces came, by reason."""
        missing = self._fragments.lost + self._fragments.waiting
        return self.skipped | ({IN_PIECES: missing} if missing else {})

    def _layers(self, layer: Payload | Inner | Unread, data: bytes, frame: _Frame) -> Found | str:
        """Down to the IP header."""
        time, broadcast, depth = frame
        while depth < _DEEPEST:
            depth += 1
            if isinstance(layer, Inner):
                read = LINKS.get(layer.link)
                if read is None:
                    return f"link type {layer.link}"
                layer = read(data, layer.at)
                broadcast = False
            if isinstance(layer, Inner):
                continue
            if isinstance(layer, Unread):
                return f"tunnel: {layer.name}"
            protocol, at, layer_broadcast = layer
            broadcast = broadcast or layer_broadcast
            if protocol in (IPV4, IPV6, ANY_IP):
                inner = _Frame(time, broadcast, depth)
                version = data[at] >> 4
                if version == 4:
                    return self._ipv4(data, at, inner)
                return self._ipv6(data, at, inner) if version == 6 else MALFORMED
            if protocol in tunnels.VLAN_TAGS:
                layer = Payload(data[at + 2] << 8 | data[at + 3], at + 4)
            elif protocol in tunnels.MPLS:
                layer = tunnels.mpls(data, at)
            elif protocol == tunnels.PPPOE:
                layer = tunnels.pppoe(data, at)
            else:
                unread = tunnels.UNREAD_TYPES.get(protocol)
                return NOT_UDP if unread is None else f"tunnel: {unread}"
        return MALFORMED

    def _ipv4(self, data: bytes, at: int, frame: _Frame) -> Found | str:
        head, total, identification, fragment, protocol, source, destination = _IPV4.unpack_from(data, at)
        if protocol not in _CARRIED:
            return _not_carried(protocol)
        start, end = at + (head & 0x0F) * 4, at + (total or len(data) - at)  # 0: of a card that cuts it up later
        if start < at + 20 or start > end:
            return MALFORMED
        if not fragment & 0x3FFF:
            return self._payload(protocol, data, start, end, source, destination, frame)
        if end > len(data):
            raise IndexError
        key = source, destination, protocol, identification
        offset, more = (fragment & 0x1FFF) * 8, bool(fragment & 0x2000)
        whole = self._fragments.add(key, offset, more, data[start:end], frame.time, may_overlap=True)
        return self._whole(protocol, whole, source, destination, frame)

    def _ipv6(self, data: bytes, at: int, frame: _Frame) -> Found | str:
        size, kind, source, destination = _IPV6.unpack_from(data, at)
        start, end = at + 40, at + 40 + size
        return self._behind_ipv6(kind, data, start, end, source, destination, frame)

    def _behind_ipv6(
        self, kind: int, data: bytes, start: int, end: int, source: bytes, destination: bytes, frame: _Frame
    ) -> Found | str:
        while kind not in _CARRIED:
            if kind in _EXTENSIONS:
                kind, start = data[start], start + 8 + data[start + 1] * 8
            elif kind == _AUTHENTICATION:
                kind, start = data[start], start + 8 + data[start + 1] * 4
            elif kind == _FRAGMENT:
                kind, position, identification = struct.unpack_from("!BxHI", data, start)
                start += 8
                if position & 0xFFF9:
                    if end > len(data):
                        raise IndexError
                    if kind not in _CARRIED and kind not in _EXTENSIONS and kind != _AUTHENTICATION:
                        return _not_carried(kind)
                    key = source, destination, kind, identification
                    offset, more = position & 0xFFF8, bool(position & 1)
                    whole = self._fragments.add(key, offset, more, data[start:end], frame.time)
                    return self._whole(kind, whole, source, destination, frame)
            else:
                return _not_carried(kind)
        return self._payload(kind, data, start, end, source, destination, frame)

    def _whole(
        self, protocol: int, data: bytes | None, source: bytes, destination: bytes, frame: _Frame
    ) -> Found | str:
        """What was put together."""
        if data is None:
            return _WAITING
        if frame.depth >= _DEEPEST:
            return MALFORMED
        inner = frame._replace(depth=frame.depth + 1)
        if protocol == UDP:
            return (
                WRONG_PIECES
                if _is_wrong(data, source, destination)
                else _udp(data, 0, len(data), source, destination, frame.broadcast)
            )
        try:
            if len(source) == 16:
                return self._behind_ipv6(protocol, data, 0, len(data), source, destination, inner)
            return self._payload(protocol, data, 0, len(data), source, destination, inner)
        except (struct.error, IndexError):
            return MALFORMED

    def _payload(
        self, protocol: int, data: bytes, start: int, end: int, source: bytes, destination: bytes, frame: _Frame
    ) -> Found | str:
        """Of an IP packet that is whole."""
        if protocol == UDP:
            return _udp(data, start, end, source, destination, frame.broadcast)
        inner = frame._replace(broadcast=False)
        if protocol == tunnels.GRE:
            return self._layers(tunnels.gre(data, start), data, inner)
        return self._layers(Payload(tunnels.IP_IN_IP[protocol], start), data, inner)


def _not_carried(protocol: int) -> str:
    unread = tunnels.UNREAD.get(protocol)
    return NOT_UDP if unread is None else f"tunnel: {unread}"


def _udp(data: bytes, start: int, end: int, source: bytes, destination: bytes, broadcast: bool) -> Found | str:
    source_port, port, size = _UDP.unpack_from(data, start)
    if size < 8 or start + size > end:
        return MALFORMED
    if start + size > len(data):
        raise IndexError
    if len(destination) == 4:
        direct = not (destination[0] >> 4 == 0xE or destination == _EVERYBODY or broadcast)
    else:
        direct = destination[0] != 0xFF
    return Found(source, destination, source_port, port, data[start + 8 : start + size], direct)


def _is_wrong(data: bytes, source: bytes, destination: bytes) -> bool:
    """Whether a datagram that was put together contradicts its length or its checksum (RFC 768)."""
    if len(data) < 8 or data[4] << 8 | data[5] != len(data):
        return True
    if not (data[6] or data[7]):
        return False  # there is none
    words = int.from_bytes(data) << (len(data) & 1) * 8
    return (int.from_bytes(source + destination) + UDP + len(data) + words) % 0xFFFF != 0


@lru_cache(maxsize=1024)
def address_text(packed: bytes) -> str:
    """A packed address as text. The link that a link-local one belongs to is not in a packet."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
