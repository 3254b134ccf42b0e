"""What is to be examined, shared by all checks."""

from __future__ import annotations

from typing import NamedTuple

from ...channel_options import ChannelOptions
from ...group import ALL_INTERFACES, DEFAULT_INTERFACE, LOOPBACK, Group
from ...transport.udp.interfaces import Nic, find_nics
from ...transport.udp.platform import Platform
from .system_facts import Interface, System


class Examination(NamedTuple):
    """What is to be examined.

    Attributes:
        system: the machine.
        port, address: the group.
        ttl: what was asked for, if anything.
        receive_buffer: bytes that are to be asked for.
        named: the interfaces that were named, as they were named; none for this machine alone.
        chosen: the interfaces found for them. Multicast may be sent on these, and on no other.
        interfaces: all that there are.
        options: of the channels that are opened: the key.
    """

    system: System
    port: int
    address: str
    ttl: int | None
    receive_buffer: int
    named: tuple[str, ...]
    chosen: tuple[Interface, ...]
    interfaces: tuple[Interface, ...]
    options: ChannelOptions = ChannelOptions()

    @classmethod
    def of(
        cls,
        system: System,
        port: int,
        address: str,
        *,
        ttl: int | None = None,
        receive_buffer: int,
        options: ChannelOptions | None = None,
        named: tuple[str, ...] = (),
        all_interfaces: bool = False,
    ) -> Examination:
        """Find out which interfaces were named.

        Raises:
            InvalidArgument: there is no such group, port or interface.
        """
        interfaces = tuple(system.interfaces())
        named = tuple(name for name in named if name != LOOPBACK)
        if all_interfaces or ALL_INTERFACES in named:
            named = (ALL_INTERFACES,)
        group = Group.of(port, address, named or (DEFAULT_INTERFACE if ":" in address else LOOPBACK), ttl)
        chosen = {found.name: found for name in named for found in _find(name, interfaces, system, group)}
        found = tuple(chosen.values())
        return cls(system, port, group.address, ttl, receive_buffer, named, found, interfaces, options or {})

    @property
    def platform(self) -> Platform:
        """Whose commands fix it."""
        return self.system.platform

    @property
    def uses_default(self) -> bool:
        """Whether the interface is to be the one that the system's routes pick."""
        return DEFAULT_INTERFACE in self.named

    @property
    def route(self) -> int | None:
        """Where multicast goes that names no interface: see :meth:`.System.route_to`."""
        named = self.chosen[0].name if self.chosen else DEFAULT_INTERFACE if ":" in self.address else LOOPBACK
        return self.system.route_to(self.group(named))

    def group(self, interface: str) -> Group:
        """The group on one interface."""
        return Group.of(self.port, self.address, interface, self.ttl)


def _find(name: str, interfaces: tuple[Interface, ...], system: System, group: Group) -> list[Interface]:
    if name == DEFAULT_INTERFACE:
        number = system.route_to(group)
        return [interface for interface in interfaces if interface.number == number]
    return [_of(nic, interfaces) for nic in find_nics(name, group)]


def _of(nic: Nic, interfaces: tuple[Interface, ...]) -> Interface:
    known = (interface for interface in interfaces if nic.number and interface.number == nic.number)
    return next(known, Interface(nic.number, nic.name, loopback=nic.loopback))
