"""From the bytes of a captured frame to the UDP datagram in it.

Sources: RFC 791 (IPv4), RFC 8200 (IPv6) with RFC 4302 (AH), RFC 768 (UDP). Only the checksums of datagrams that came in
fragments are verified: where a network card computes them, what is captured whole on the sending machine has none yet.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Hashable
from functools import lru_cache
from typing import Final, NamedTuple

from .ip_reassembly import INCOMPLETE, OVERLAPPING, Fragment, Reassembly
from .link_types import NOT_UDP, Inside, find, is_to_many, way
from .tunnels import TUNNELS, in_ip, to_ip

UDP: Final = 17

_IPV4: Final = struct.Struct("!B x HHH x B 2x 4s 4s")  # version and length, total length, id, fragment, protocol
_IPV6: Final = struct.Struct("!4x H B x 16s 16s")  # payload length, next header
_UDP: Final = struct.Struct("!HHHH")  # ports, length, checksum

_LONGEST: Final = 65_535
"""Bytes of an IP payload."""

_EXTENSIONS: Final = frozenset({0, 43, 60, 135, 139, 140})
"""Hop-by-hop, routing, destination options, mobility, HIP, shim6: all of the layout of RFC 6564."""
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51
_FRAGMENTED: Final = _EXTENSIONS | TUNNELS | {UDP, _AUTHENTICATION}
"""What in fragments is put together."""

CUT: Final = "cut short when captured (snaplen)"
MALFORMED: Final = "malformed"
WRONG_CHECKSUM: Final = "put together from pieces with a wrong checksum"
_LOST: Final = (CUT, MALFORMED, INCOMPLETE, OVERLAPPING, WRONG_CHECKSUM)
"""Reasons for which a datagram is missing."""
_UNREAD: Final = "link type ", "tunnel "

_BROADCAST: Final = bytes([255] * 4)
"""To all hosts of a link (RFC 919). What else is a broadcast, the link has to tell."""

_DEEPEST: Final = 8
"""Tunnels in one another that are opened."""
TOO_DEEP: Final = "tunnel in too many others"

_WAITING: Final = ""


class Found(NamedTuple):
    """A UDP datagram.

    Attributes:
        source, destination: packed addresses, of 4 or 16 bytes.
        source_port, port: from and to.
        data: the payload.
    """

    source: bytes
    destination: bytes
    source_port: int
    port: int
    data: bytes


class Dissector:
    """Takes frames, and finds the datagrams in them; keeps the pieces of those that came in several.

    Attributes:
        skipped: how many frames held no datagram, by reason.
        in_tunnel: whether the last datagram was in a tunnel.
    """

    def __init__(self) -> None:
        self.skipped: dict[str, int] = {}
        self.in_tunnel = False
        self._reassembly = Reassembly()
        self._time = 0
        self._interface: Hashable = 0
        self._depth = 0

    def dissect(self, link: int, data: bytes, length: int, time: int = 0, interface: int = 0) -> Found | None:
        """The datagram of a frame.

        Args:
            link: the link's type.
            data: what was captured.
            length: bytes it had on the link.
            time: nanoseconds, by the capture's clock.
            interface: its number in the capture.
        """
        self._time = time
        self._interface = interface, *way(link, data)
        self._depth = 0
        self.in_tunnel = False
        try:
            inside = find(link, data)
            found = inside if isinstance(inside, str) else self._inside(inside, data)
        except (struct.error, IndexError, OverflowError):  # the last: an offset of 32 bits, on a machine of as many
            found = CUT if len(data) < length else MALFORMED
        if isinstance(found, Found):
            return found
        if found:
            self.skip(found)
        return None

    def is_direct(self, link: int, data: bytes, destination: bytes) -> bool:
        """Whether the datagram that was found last in ``data`` was sent to one host alone, as far as can be told."""
        if destination[0] >> 4 == 0xE if len(destination) == 4 else destination[0] == 0xFF:
            return False
        return destination != _BROADCAST and (self.in_tunnel or not is_to_many(link, data))

    def skip(self, reason: str) -> None:
        """Count a frame as skipped."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def counts(self) -> dict[str, int]:
        """Frames that were skipped, and datagrams of which no more than pieces came, by reason."""
        lost = dict(self._reassembly.lost)
        if incomplete := self._reassembly.incomplete:
            lost[INCOMPLETE] = lost.get(INCOMPLETE, 0) + incomplete
        return self.skipped | lost

    def _inside(self, inside: Inside, data: bytes, *, reassembled: bool = False) -> Found | str:
        at = to_ip(inside, data)
        if isinstance(at, str):
            return at
        version = data[at] >> 4
        if version == 4:
            return self._ipv4(data, at, reassembled)
        if version == 6:
            return self._ipv6(data, at, reassembled)
        return MALFORMED

    def _ipv4(self, data: bytes, at: int, reassembled: bool) -> Found | str:
        head, total, identification, fragment, protocol, source, destination = _IPV4.unpack_from(data, at)
        if protocol != UDP and protocol not in TUNNELS:
            return NOT_UDP
        start, end = at + (head & 0x0F) * 4, at + total if total else len(data)  # 0: cut up by the network card
        if not fragment & 0x3FFF:
            return self._payload(protocol, data, start, end, source, destination, reassembled)
        if end > len(data):
            raise IndexError
        piece = Fragment((fragment & 0x1FFF) * 8, bool(fragment & 0x2000), data[start:end], protocol)
        return self._piece((source, destination, identification, protocol), piece, source, destination)

    def _ipv6(self, data: bytes, at: int, reassembled: bool) -> Found | str:
        size, kind, source, destination = _IPV6.unpack_from(data, at)
        return self._payload(kind, data, at + 40, at + 40 + size, source, destination, reassembled)

    def _payload(
        self, kind: int, data: bytes, start: int, end: int, source: bytes, destination: bytes, reassembled: bool
    ) -> Found | str:
        """What is in an IP packet, behind its extension headers."""
        while kind != UDP:
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
                    piece = Fragment(position & 0xFFF8, bool(position & 1), data[start:end], kind)
                    return self._piece((source, destination, identification), piece, source, destination)
            elif kind in TUNNELS:
                if not self._deeper():
                    return TOO_DEEP
                self.in_tunnel = True
                data = data[start:end]
                inside = in_ip(kind, data)
                return inside if isinstance(inside, str) else self._inside(inside, data, reassembled=reassembled)
            else:
                return NOT_UDP
        found = _udp(data, start, end, source, destination)
        return _checked(found, data, start) if reassembled else found

    def _deeper(self) -> bool:
        self._depth += 1
        return self._depth <= _DEEPEST

    def _piece(self, datagram: Hashable, piece: Fragment, source: bytes, destination: bytes) -> Found | str:
        if piece.protocol not in _FRAGMENTED:
            return NOT_UDP
        if (piece.more and len(piece.data) % 8) or piece.offset + len(piece.data) > _LONGEST:
            return MALFORMED
        whole = self._reassembly.add(datagram, self._interface, self._time, piece)
        if whole is None:
            return _WAITING
        if not self._deeper():
            return TOO_DEEP
        kind, data = whole
        return self._payload(kind, data, 0, len(data), source, destination, reassembled=True)


def may_be_messages(reason: str) -> bool:
    """Whether packets that were skipped for this reason may have been messages."""
    return reason in _LOST or reason.startswith(_UNREAD)


def _udp(data: bytes, start: int, end: int, source: bytes, destination: bytes) -> Found | str:
    source_port, port, size, _ = _UDP.unpack_from(data, start)
    if size < 8 or start + size > end:
        return MALFORMED
    if start + size > len(data):
        raise IndexError
    return Found(source, destination, source_port, port, data[start + 8 : start + size])


def _checked(found: Found | str, data: bytes, start: int) -> Found | str:
    """``found``, if its checksum at ``start`` in ``data`` holds, or if it has none (RFC 768, RFC 6935)."""
    if not isinstance(found, Found) or data[start + 6 : start + 8] == b"\0\0":
        return found
    size = 8 + len(found.data)
    pseudo_header = found.source + found.destination + struct.pack("!HH", UDP, size)
    # The ones' complement sum of 16-bit words (RFC 1071) is the number that they make modulo 2^16 - 1.
    total = int.from_bytes(pseudo_header + data[start : start + size] + bytes(size & 1))
    return WRONG_CHECKSUM if total % 0xFFFF else found


@lru_cache(maxsize=1024)
def address_text(packed: bytes) -> str:
    """A packed address as text. The link that a link-local one belongs to is not in a packet."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
