"""What is to be examined, shared by all checks."""

from __future__ import annotations

from typing import NamedTuple

from ...channel_options import ChannelOptions
from ...errors import InvalidInterface
from ...group import ALL_INTERFACES, DEFAULT_INTERFACE, LOOPBACK, Group, Ip
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
        if all_interfaces or ALL_INTERFACES in named:
            named = tuple(i.name for i in interfaces if not i.loopback and i.up and i.multicast and i.addresses)
        named = tuple(name for name in named if name != LOOPBACK)
        group = Group.of(port, address, named or (DEFAULT_INTERFACE if ":" in address else LOOPBACK), ttl)
        chosen = tuple(found for name in named if (found := _find(name, interfaces, system, group)) is not None)
        return cls(system, port, group.address, ttl, receive_buffer, named, chosen, interfaces, options or {})

    @property
    def uses_default(self) -> bool:
        """Whether the interface is to be the one that the system's routes pick."""
        return DEFAULT_INTERFACE in self.named

    def group(self, interface: str) -> Group:
        """The group on one interface."""
        return Group.of(self.port, self.address, interface, self.ttl)


def _find(name: str, interfaces: tuple[Interface, ...], system: System, group: Group) -> Interface | None:
    if name == DEFAULT_INTERFACE:
        number = system.route_to(group.address)
        return next((interface for interface in interfaces if interface.number == number), None)
    address = Ip.parse(name)
    for interface in interfaces:
        if interface.name == name or (address is not None and str(address) in interface.addresses):
            return interface
    there = ", ".join(interface.name for interface in interfaces)
    raise InvalidInterface(f"there is no interface {name!r} here; there are {there}")
