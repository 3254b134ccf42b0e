"""What passes by a network interface, as packet(7) shows it."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

from ..helpers import PATIENCE

_ALL: Final = 3
_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_ARP: Final = 0x0806
_OUTGOING: Final = 4
_HOP_BY_HOP: Final = 0
_SO_RCVBUFFORCE: Final = 33
_BUFFER: Final = 1 << 24
_PROTOCOLS: Final = {2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}


class Packet(NamedTuple):
    """A packet that was sent or received.

    Attributes:
        outgoing: whether this host sent it.
        protocol: ``"UDP"``, ``"IGMP"``, ``"ICMPv6"`` (MLD is part of it), ``"TCP"``, ``"ARP"``, or a number.
        source, destination: numeric addresses; empty for ARP.
        ttl: TTL or hop limit; 0 for ARP.
        payload: what a datagram carries, or all that follows the IP header.
    """

    outgoing: bool
    protocol: str
    source: str
    destination: str
    ttl: int
    payload: bytes


class Sniffer:
    """Every packet of one interface from now on. Use it in ``with``.

    The kernel shows a packet here before the call that sends it returns, and before the host that receives it
    delivers it to a socket: once a message was sent, or heard, its packet is in :meth:`packets`.
    """

    def __init__(self, interface: str) -> None:
        self._seen: list[Packet] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with suppress(PermissionError):  # only root of the machine may go past its limit
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.bind((interface, _ALL))
        self._socket.setblocking(False)

    def packets(self) -> list[Packet]:
        """All that passed so far."""
        while True:
            try:
                data, (_, kind, direction, *_) = self._socket.recvfrom(1 << 17)
            except BlockingIOError:
                return self._seen
            self._seen.append(_packet(data, kind, direction == _OUTGOING))

    def datagrams(self) -> list[Packet]:
        """Those of :meth:`packets` that are UDP."""
        return [packet for packet in self.packets() if packet.protocol == "UDP"]

    def wait_for(self, condition: Callable[[Packet], object]) -> Packet:
        """The first packet that is so, once it passed."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for packet in self.packets():
                if condition(packet):
                    return packet
            left = deadline - time.monotonic()
            assert left > 0, f"no such packet among {self._seen}"
            select.select([self._socket], [], [], left)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _packet(data: bytes, kind: int, outgoing: bool) -> Packet:
    if kind == _IPV4:
        length = (data[0] & 0x0F) * 4
        protocol, body = data[9], data[length:]
        if struct.unpack_from("!H", data, 6)[0] & 0x1FFF:  # a later fragment
            return Packet(outgoing, _name(protocol), *_addresses(socket.AF_INET, data[12:20]), data[8], body)
        return Packet(outgoing, *_body(protocol, body, _addresses(socket.AF_INET, data[12:20]), data[8]))
    if kind == _IPV6:
        protocol, body = data[6], data[40:]
        if protocol == _HOP_BY_HOP:
            protocol, body = body[0], body[8 + 8 * body[1] :]
        return Packet(outgoing, *_body(protocol, body, _addresses(socket.AF_INET6, data[8:40]), data[7]))
    return Packet(outgoing, "ARP" if kind == _ARP else f"{kind:#06x}", "", "", 0, data)


def _body(protocol: int, body: bytes, addresses: tuple[str, str], ttl: int) -> tuple[str, str, str, int, bytes]:
    return _name(protocol), *addresses, ttl, body[8:] if protocol == socket.IPPROTO_UDP else body


def _name(protocol: int) -> str:
    return _PROTOCOLS.get(protocol, str(protocol))


def _addresses(family: socket.AddressFamily, packed: bytes) -> tuple[str, str]:
    half = len(packed) // 2
    return socket.inet_ntop(family, packed[:half]), socket.inet_ntop(family, packed[half:])
