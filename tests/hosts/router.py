"""A router: a host that forwards between two segments, multicast too."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from .host import Host

if TYPE_CHECKING:
    from .network import Network

# linux/mroute.h
_INIT: Final = 200
_ADD_INTERFACE: Final = 202
_ADD_ROUTE: Final = 204
_USE_INDEX: Final = 8
_MOST_INTERFACES: Final = 32


class Router(Host):
    """A host that forwards between its eth0, on segment 0, and its eth1, on segment 1: the kernel does it.

    So TTLs count down, and as everywhere a datagram of TTL 1 goes no further (RFC 1112, RFC 1812). Multicast is
    forwarded by static routes, IPv4 only, whether or not somebody joined on the other side.
    """

    def __init__(self, network: Network, number: int) -> None:
        super().__init__(network, number)
        with self.entered():
            self._routing = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)  # for as long as open
        for segment in (0, 1):
            self.add_interface(f"eth{segment}", segment=segment)
        self.namespace.set("net/ipv4/ip_forward", 1)
        self._routing.setsockopt(socket.IPPROTO_IP, _INIT, 1)
        for segment in (0, 1):
            with self.entered():
                index = socket.if_nametoindex(f"eth{segment}")
            interface = struct.pack("=HBBIi4s", segment, _USE_INDEX, 1, 0, index, bytes(4))
            self._routing.setsockopt(socket.IPPROTO_IP, _ADD_INTERFACE, interface)

    def forward(self, groups: Sequence[str], host: Host) -> None:
        """Begin to forward what a host sends to these groups to the other segment."""
        thresholds = bytes([1, 1]) + bytes(_MOST_INTERFACES - 2)  # by both, if the TTL is greater than 1
        for interface in host.interfaces.values():
            source = socket.inet_aton(interface.address.partition("/")[0])
            for group in groups:
                route = struct.pack(
                    "=4s4sH32sxx12xi", source, socket.inet_aton(group), interface.segment, thresholds, 0
                )
                self._routing.setsockopt(socket.IPPROTO_IP, _ADD_ROUTE, route)

    def close(self) -> None:
        self._routing.close()
        super().close()
