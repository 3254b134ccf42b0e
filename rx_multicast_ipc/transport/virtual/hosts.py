"""The hosts of a virtual network: their addresses, their interfaces' names, and the ports that are taken on each."""

from __future__ import annotations

from itertools import chain, count, takewhile
from typing import Final, Protocol

from ...channel_events import NetworkChange
from ...errors import CannotOpen, InvalidAddress, InvalidInterface
from ...group import Group
from ...message import Address, Family, Message
from ...validation.arguments import shown
from ...validation.numeric_address import Ip
from .host_interfaces import NETWORK_INTERFACE, Interface

_EPHEMERAL_PORTS: Final = range(49_152, 65_536)
"""The ports that a system gives out by itself (RFC 6335, section 6)."""


class End(Protocol):
    """What the wire needs to know of a transport."""

    number: int
    """On its network, where it is the only one that ever has it; the network sets it."""

    @property
    def group(self) -> Group: ...

    @property
    def host(self) -> str: ...

    @property
    def interfaces(self) -> tuple[Interface, ...]: ...

    @property
    def names_interfaces(self) -> bool:
        """Whether its messages say which interface they came by."""
        ...

    @property
    def is_bound_to_interface(self) -> bool:
        """Whether what it sends to one address goes by its one interface, and not where the routes lead."""
        ...

    @property
    def sender_address(self) -> Address: ...

    @property
    def hears_itself(self) -> bool: ...

    def arrive(self, batch: list[Message]) -> None: ...

    def resume(self) -> None: ...

    def turn(self, change: NetworkChange) -> None: ...

    def close(self) -> None: ...


class Hosts:
    """Those that exist, and what is open on each."""

    def __init__(self) -> None:
        self._all: dict[str, dict[int, End]] = {}
        self._interface_names: dict[str, str] = {}
        self._new = {"IPv4": count(1), "IPv6": count(1)}

    def __contains__(self, address: str) -> bool:
        return address in self._all

    def add(self, address: str, interface: str | None = None) -> str:
        """The host of that address, from now on if there was none; and what its network interface is called."""
        ip = Ip.parse(address) if isinstance(address, str) else None
        if ip is None or ip.is_multicast or ip.is_loopback:
            raise InvalidAddress(
                f'a virtual host has a numeric address of its own such as "10.0.0.1", not {shown(address)}'
            )
        host = str(ip)
        if interface is not None and (not isinstance(interface, str) or not interface or Ip.parse(interface)):
            raise InvalidInterface(f'an interface has a name such as "eth0", not {shown(interface)}')
        self._all.setdefault(host, {})
        if interface is not None:
            self._interface_names[host] = interface
        return host

    def new(self, family: Family) -> str:
        """A host that was not there before: 10.0.0.1, 10.0.0.2, ..."""
        for number in takewhile(lambda number: number < 1 << 24, self._new[family]):
            host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" if family == "IPv4" else f"fd00::{number:x}"
            if not isinstance(host, str) or host not in self._all:
                return self.add(host)
        raise CannotOpen("the virtual network has no address left")

    def known(self, host: str) -> str:
        """``host``, if there is one of that address; raises ``InvalidAddress``."""
        if not isinstance(host, str) or host not in self._all:
            known = ", ".join(list(self._all)[:10]) or "none yet"
            raise InvalidAddress(f"there is no host {shown(host)} on this network; add it first, there are: {known}")
        return host

    def interface_name(self, host: str) -> str:
        """What the network interface of a host is called."""
        return self._interface_names.get(host, NETWORK_INTERFACE)

    def free_port(self, host: str) -> int:
        """A port that no end on ``host`` has."""
        taken = self._all[host]
        newest = next(reversed(taken), _EPHEMERAL_PORTS[0] - 1)
        for port in chain(range(newest + 1, _EPHEMERAL_PORTS[-1] + 1), _EPHEMERAL_PORTS):
            if port not in taken:
                return port
        raise CannotOpen(f"host {host} has no port left; close channels that are no longer needed")

    def open(self, end: End) -> None:
        """An end takes its port."""
        self._all[end.host][end.sender_address[1]] = end

    def close(self, end: End) -> None:
        """An end leaves its port to others."""
        del self._all[end.host][end.sender_address[1]]

    def ends(self, host: str) -> dict[int, End] | None:
        """What is open on a host, by its port, in the order in which it was opened; None if there is no such host."""
        return self._all.get(host)
