"""A network: a switch with segments, hosts plugged into it, and what goes wrong between them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from ..helpers import wait_until
from .faults import Fault, Faults
from .host import Host, Interface
from .namespace import Namespace
from .processes import Processes
from .router import Router

ROUTER_NUMBER = 254
"""What the router's addresses end in."""

_QUERIER = "querier"


class Network:
    """Hosts on the segments of a switch: Linux bridges in a namespace of their own. Made by :func:`hosts`.

    Segment 0, where hosts start, is 10.77.0.0/24, segment 1 is 10.77.1.0/24. Each is a link of its own. The switch
    floods multicast to every port of the segment, unless told to :meth:`snoop`.
    """

    def __init__(self) -> None:
        self.hosts: list[Host] = []
        self._segments: set[int] = set()
        self._snooping = False
        self._asked: set[int] = set()
        with ExitStack() as undo:
            self.switch = Namespace()
            undo.callback(self.switch.close)
            self.processes = Processes()
            undo.callback(self.processes.close)
            self.switch.set("net/ipv6/conf/default/disable_ipv6", 1)  # the switch has nothing to say
            for kind in ("ip", "ip6", "arp"):
                self.switch.set(f"net/bridge/bridge-nf-call-{kind}tables", 0)
            self._undo = undo.pop_all()
        self._faults = Faults(self.switch)

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts)

    def add_host(self, *, segment: int = 0) -> Host:
        """A further host, on a segment, which is made if new."""
        host = Host(self, len(self.hosts) + 1)
        self._undo.callback(host.close)
        host.add_interface("eth0", segment=segment)
        self.hosts.append(host)
        return host

    def add_router(self, *groups: str) -> Router:
        """A router between segments 0 (its eth0) and 1 (its eth1): for unicast, and for these IPv4 groups.

        It serves the hosts that are there already, at the addresses that they have.
        """
        router = Router(self, ROUTER_NUMBER)
        self._undo.callback(router.close)
        for host in self.hosts:
            router.forward(groups, host)
            host.namespace.ip(f"route add 10.77.0.0/16 via 10.77.{host.interfaces['eth0'].segment}.{ROUTER_NUMBER}")
        return router

    def lose(self, percent: float, *, to: Host | None = None, protocol: str = "udp") -> Fault:
        """Drop UDP datagrams on their way to one host, or to any, at random. Its ``count`` says how many."""
        return self._faults.lose(percent, [_any_port(host) for host in self._receivers(to)], protocol)

    def slow(self, host: Host, bits: float, queue: int, interface: str = "eth0") -> None:
        """Let so many bits a second pass to a host, and so many packets of 1500 bytes wait for that; more are lost."""
        shape = f"tbf rate {bits:.0f} burst 3100 limit {queue * 1514}"
        self.switch.run("tc", "qdisc", "replace", "dev", host.interfaces[interface].port, "root", *shape.split())

    def duplicate(self, percent: float, *, to: Host | None = None) -> Fault:
        """Deliver UDP datagrams to one host, or to any, twice, at random; on the interfaces that they have now."""
        return self._faults.duplicate(percent, [port for host in self._receivers(to) for port in host.ports])

    def partition(self, *sides: Sequence[Host]) -> Fault:
        """Let nothing pass from one of these sides to another; hosts that are on none reach all."""
        return self._faults.separate(
            [
                (_any_port(one), _any_port(other))
                for number, side in enumerate(sides)
                for other_side in sides[number + 1 :]
                for one in side
                for other in other_side
            ]
        )

    def snoop(self, *, membership: float, querier: bool) -> None:
        """Make the switch send an IPv4 group (other than 224.0.0.x) only to ports where it heard a report (RFC 4541).

        Args:
            membership: seconds that it remembers a report.
            querier: whether it asks for reports, once a second at most often. If not, it is a switch whose querier
                asked once and is gone: a group that is not reported again is dropped after ``membership`` seconds.
        """
        if self._snooping:
            self._flood()
        self._snooping = True
        second = 100  # ip-link(8) takes hundredths
        options = (
            f"mcast_snooping 1 mcast_igmp_version 3 mcast_membership_interval {round(membership * second)}"
            f" mcast_query_response_interval 10 mcast_startup_query_interval {second} mcast_query_interval {second}"
            f" mcast_querier {int(querier)}"
        )
        for segment in self._segments:
            self.switch.ip(f"link set s{segment} type bridge {options}")
            if not querier:
                self._ask_once(segment)

    def heal(self) -> None:
        """No loss, no duplicates, no partition, no snooping any more."""
        self._faults.heal()
        if self._snooping:
            self._flood()

    def connect(self, host: Host, name: str, interface: Interface) -> None:
        """Make an interface of a host, with a cable into the switch. Hosts call it."""
        segment, port = interface.segment, interface.port
        if segment not in self._segments:
            self._segments.add(segment)
            self.switch.ip(f"link add s{segment} type bridge mcast_snooping 0", f"link set s{segment} up")
        self.switch.ip(
            f"link add {port} type veth peer name {name} address {interface.hardware} netns {host.namespace.path}",
            f"link set {port} master s{segment} up",
        )

    def wait_until_connected(self, host: Host, name: str) -> None:
        """Wait for what the kernel does after it said yes: the interface runs, and its port forwards."""
        wait_until(lambda: "state UP" in host.namespace.run("ip", "link", "show", name))
        self._wait_until_forwarding(host.interfaces[name].port)

    def wait_until_disconnected(self, host: Host, name: str) -> None:
        """The opposite: the kernel tells of a carrier that is gone a while after it went."""
        wait_until(lambda: "state UP" not in host.namespace.run("ip", "link", "show", name))

    def close(self) -> None:
        """Kill the processes on the hosts, and let go of all namespaces."""
        self._undo.close()

    def _wait_until_forwarding(self, port: str) -> None:
        wait_until(lambda: "state forwarding" in self.switch.run("ip", "-d", "link", "show", port))

    def _receivers(self, host: Host | None) -> list[Host]:
        return self.hosts if host is None else [host]

    def _flood(self) -> None:
        for segment in self._segments:
            # A bridge that is down forgets which queriers and routers it heard; the links of its ports stay up.
            self.switch.ip(
                f"link set s{segment} down",
                f"link set s{segment} type bridge mcast_snooping 0",
                f"link set s{segment} up",
            )
        for segment in self._asked:
            self.switch.ip(f"link delete {_QUERIER}{segment}")
        self._asked.clear()
        self._snooping = False

    def _ask_once(self, segment: int) -> None:
        """Send an IGMPv3 general query (RFC 3376, 4.1) into a port that no host is behind."""
        self._asked.add(segment)
        port, end = f"{_QUERIER}{segment}", f"{_QUERIER}{segment}.end"
        self.switch.ip(
            f"link add {port} type veth peer name {end}", f"link set {port} master s{segment} up", f"link set {end} up"
        )
        self._wait_until_forwarding(port)
        query = bytearray(struct.pack("!BBH4sBBH", 0x11, 1, 0, bytes(4), 2, 125, 0))
        struct.pack_into("!H", query, 2, _checksum(query))
        to_all = socket.inet_aton("224.0.0.1")
        header = bytearray(
            struct.pack(
                *("!BBHHHBBH4s4s", 0x45, 0xC0, 20 + len(query), 0, 0, 1, socket.IPPROTO_IGMP, 0),
                *(socket.inet_aton(f"10.77.{segment}.253"), to_all),
            )
        )
        struct.pack_into("!H", header, 10, _checksum(header))
        with self.switch.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sender:
            sender.sendto(header + query, (end, 0x0800, 0, 0, bytes.fromhex("01005e000001")))


def _any_port(host: Host) -> str:
    """All ports of a host, those of its interfaces to come too, in the words of nft(8)."""
    return f"h{host.number}.*"


def _checksum(data: bytes | bytearray) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
