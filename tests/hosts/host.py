"""A host: a network namespace with interfaces that are plugged into the network's switch."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from .namespace import Namespace
from .sniffer import Sniffer

if TYPE_CHECKING:
    from .network import Network


class Interface(NamedTuple):
    """How an interface is plugged in.

    Attributes:
        segment: number of the segment that it is on.
        address: IPv4 address and prefix length, such as ``"10.77.0.1/24"``.
        hardware: its Ethernet address, which a re-created one has again, as a network card does.
        port: the switch's port.
    """

    segment: int
    address: str
    hardware: str
    port: str


class Host:
    """A machine of the network. Its first interface is ``eth0``, over which its default route leads."""

    def __init__(self, network: Network, number: int) -> None:
        self.number = number
        self.namespace = Namespace()
        self._network = network
        self.interfaces: dict[str, Interface] = {}
        self._default_route = ""
        for setting in ("accept_dad", "dad_transmits"):  # else an IPv6 address cannot be used for its first seconds
            self.namespace.set(f"net/ipv6/conf/default/{setting}", 0)
        self.namespace.ip("link set lo up")

    @contextmanager
    def entered(self) -> Generator[None]:
        """This thread is on the host, and so is what it opens and starts: sockets, channels, threads."""
        with self.namespace.entered():
            yield

    def python(self, code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """A Python process on the host that runs ``code`` in development mode, with pipes."""
        return self.start(sys.executable, "-X", "dev", "-c", code, *map(str, arguments), **environment)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """A process on the host, with pipes. It and all that it starts are killed when the network ends."""
        return self._network.processes.start(self.namespace, command, environment)

    def sniff(self, interface: str = "eth0") -> Sniffer:
        """See every packet of an interface from now on; ``with`` ends it."""
        with self.entered():
            return Sniffer(interface)

    def address(self, interface: str = "eth0") -> str:
        """The interface's IPv4 address."""
        return self.interfaces[interface].address.partition("/")[0]

    def link_local(self, interface: str = "eth0") -> str:
        """The interface's IPv6 link-local address, with its scope."""
        shown = self.namespace.run("ip", "-6", "-o", "address", "show", "dev", interface, "scope", "link")
        (address,) = re.findall(r"inet6 ([0-9a-f:]+)/", shown)
        return f"{address}%{interface}"

    @property
    def ports(self) -> list[str]:
        """The switch's ports that it is plugged into."""
        return [interface.port for interface in self.interfaces.values()]

    def add_interface(self, name: str, *, segment: int = 0, address: str = "") -> None:
        """Plug a new interface into a segment, and bring it up.

        Args:
            name: such as ``"eth1"``.
            segment: number of the segment, made if new. Two interfaces may be on one.
            address: IPv4 address and prefix length; if not given, the host's on that segment: 10.77.SEGMENT.NUMBER,
                and 100 more for a second interface there.
        """
        there = sum(interface.segment == segment for interface in self.interfaces.values())
        address = address or f"10.77.{segment}.{self.number + 100 * there}/24"
        hardware = f"02:00:00:{segment:02x}:{there:02x}:{self.number:02x}"
        self._plug_in(name, Interface(segment, address, hardware, f"h{self.number}.{name}"))

    def remove_interface(self, name: str) -> None:
        """Unplug it for good."""
        self.namespace.ip(f"link delete {name}")
        del self.interfaces[name]

    def recreate(self, name: str = "eth0") -> None:
        """Remove an interface, and make another one of the same name and addresses, with a new index."""
        plugged = self.interfaces[name]
        self.remove_interface(name)
        self._plug_in(name, plugged)

    def link_down(self, name: str = "eth0") -> None:
        """What an administrator does with ``ip link set down``."""
        self.namespace.ip(f"link set {name} down")

    def link_up(self, name: str = "eth0") -> None:
        """The opposite; the default route over it, which went with it, is set again."""
        self.namespace.ip(f"link set {name} up")
        self._network.wait_until_connected(self, name)
        self._restore_default_route(name)

    def flap(self, name: str = "eth0") -> None:
        """Down and up."""
        self.link_down(name)
        self.link_up(name)

    def pull_cable(self, name: str = "eth0") -> None:
        """The interface stays up but has no carrier."""
        self._network.switch.ip(f"link set {self.interfaces[name].port} down")
        self._network.wait_until_disconnected(self, name)

    def push_cable(self, name: str = "eth0") -> None:
        """The opposite."""
        self._network.switch.ip(f"link set {self.interfaces[name].port} up")
        self._network.wait_until_connected(self, name)

    def change_address(self, name: str, address: str) -> None:
        """Give the interface another IPv4 address (and prefix length) in place of the one it has."""
        old = self.interfaces[name]
        self.interfaces[name] = old._replace(address=address)
        self.namespace.ip(f"address del {old.address} dev {name}", f"address add {address} dev {name}")
        self._restore_default_route(name)

    def rename(self, name: str, new: str) -> None:
        """Give the interface another name, as some systems do while they start."""
        self.namespace.ip(f"link set {name} down", f"link set {name} name {new}", f"link set {new} up")
        self.interfaces[new] = self.interfaces.pop(name)
        self._network.wait_until_connected(self, new)
        if self._default_route == name:
            self.route_by_default(new)

    def route_by_default(self, name: str) -> None:
        """Move the default route: multicast, too, leaves over this interface if a program names none."""
        self.namespace.ip(f"route replace default dev {name}")
        self._default_route = name

    def close(self) -> None:
        self.namespace.close()

    def _plug_in(self, name: str, interface: Interface) -> None:
        self._network.connect(self, name, interface)
        self.interfaces[name] = interface
        self.namespace.ip(
            f"address add {interface.address} dev {name}",
            # As on a wire, a GSO batch (UDP_SEGMENT) travels as many packets, each lost or counted by itself.
            f"link set {name} up gso_max_segs 1",
        )
        self._network.wait_until_connected(self, name)
        if self._default_route in ("", name):
            self.route_by_default(name)

    def _restore_default_route(self, name: str) -> None:
        if self._default_route == name:
            self.route_by_default(name)

    def __repr__(self) -> str:
        return f"<Host {self.number}>"
