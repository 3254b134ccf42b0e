"""Which network interfaces there are, and which of them a group is on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from ...errors import InvalidGroup, InvalidInterface, Unsupported
from ...group import ALL_INTERFACES, BROADCAST, DEFAULT_GROUP, DEFAULT_INTERFACE, LOOPBACK, Group
from ...validation.numeric_address import Ip
from . import interface_watch
from .error_advice import cannot_open, is_exhausted
from .platform import PLATFORM, PLATFORM_NAME, Platform

_PSEUDO_ON_MACOS: Final = ("anpi", "ap", "awdl", "gif", "ipsec", "llw", "stf", "utun")
"""How interfaces of macOS begin that are up and lead to no network of the user's: for Apple's own services, tunnels."""


class Nic(NamedTuple):
    """A network interface, as far as the system calls need to know it.

    Attributes:
        number: its index; 0 for any.
        address: the one of its addresses to send from; ``""`` for any.
        name: for people.
        up: whether it works.
        loopback: whether it is the host's own.
    """

    number: int = 0
    address: str = ""
    name: str = ""
    up: bool = True
    loopback: bool = False


def find_nics(interface: str, group: Group, platform: Platform | None = None) -> list[Nic]:
    """The interfaces that one name stands for, now: one, or for ``"all"`` any number.

    Raises:
        InvalidGroup: a broadcast address of another interface, or of none.
        InvalidInterface: there is none of that name or address; it says which there are.
        NoRoute: no route leads to the group, for ``"default"``.
        CannotOpen: there is no descriptor left to ask with.
        Unsupported: on this platform.
    """
    platform = platform or PLATFORM
    if platform == "other":
        raise Unsupported(
            f"this platform ({PLATFORM_NAME}) is not supported: UDP multicast is on Linux, macOS and Windows"
        )
    if interface == LOOPBACK:
        return [Nic(_loopback_index(group, platform), "127.0.0.1", "lo", loopback=True)]
    links = _links(group, platform)
    if group.is_broadcast:
        nic = _named_nic(interface, group, links, platform)
        _check_broadcast(group, nic, links, platform)
        return [nic]
    if interface == ALL_INTERFACES:
        return _all_nics(group, links)
    return [_named_nic(interface, group, links, platform)]


def _named_nic(interface: str, group: Group, links: list[interface_watch.Link], platform: Platform) -> Nic:
    if interface == DEFAULT_INTERFACE:
        return _default_nic(group, links)
    ip = Ip.parse(interface)
    named = next((link for link in links if link.name == interface), None)
    if named is not None:  # also by a name that the C library does not know, such as "Ethernet 2"
        return _nic(named.number, interface, group, links)
    if ip is None:
        return _nic(_index(interface, group), interface, group, links)
    if ip.scope:
        number = int(ip.scope) if ip.scope.isdecimal() else _index(ip.scope, group)
        return _nic(number, _name(number, group), group, links)
    address = str(ip)
    for link in links:
        if address in link.addresses:
            by = address if group.family == "IPv4" else ""
            return Nic(link.number, by, link.name, link.up, link.loopback)
    # Linux takes addresses that no interface has, and every system those of 127.0.0.0/8.
    if ip.family == "IPv4" and (platform == "linux" or not links or ip.packed[0] == 127):
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((interface, 0))
            return Nic(0, interface, interface)
    elif ip.family == "IPv6" and platform != "linux":
        raise InvalidInterface(
            f'{interface} does not say which interface it is on; name the interface, or write "{interface}%name"'
        )
    raise InvalidInterface(f"{interface} is not an address of this machine; {choices()}")


def default_nic(group: Group) -> Nic:
    """The interface by which the system's routes lead to the group; its number is 0 where nobody tells.

    Raises:
        NoRoute: none leads there.
        CannotOpen: there is no descriptor left to ask with.
    """
    return _default_nic(group, _links(group, PLATFORM))


def change_notices(platform: Platform = PLATFORM) -> socket.socket | None:
    """A non-blocking socket with something to read after a change of interfaces, addresses or routes.

    None on Windows, which tells of changes in callbacks only.
    """
    if platform == "linux":
        with suppress(OSError):
            return interface_watch.change_notices()
    if platform == "darwin":
        from . import links_bsd

        return links_bsd.change_notices()
    return None


def tells_of_change(notice: bytes) -> bool:
    """Whether what was read from :func:`change_notices` is of a change."""
    if PLATFORM != "darwin":  # Linux was asked for no others
        return True
    from . import links_bsd

    return links_bsd.tells_of_change(notice)


def _default_nic(group: Group, links: list[interface_watch.Link]) -> Nic:
    if not links:
        return Nic(name=DEFAULT_INTERFACE)  # the system's choice
    if PLATFORM != "linux":
        return _nic_towards(group, links)
    try:
        number = interface_watch.interface_to(group.address)
    except OSError as error:
        raise cannot_open(group, error, "route") from error
    return _nic(number, _name(number, group), group, links)


def _nic_towards(group: Group, links: list[interface_watch.Link]) -> Nic:
    """The interface by which the system would send to the group, found by its address; nothing is sent."""
    family = socket.AF_INET if group.family == "IPv4" else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((group.address, group.port))
            address = probe.getsockname()[0].partition("%")[0]
    except OSError as error:
        raise cannot_open(group, error, "route") from error
    link = next((link for link in links if address in link.addresses), None)
    if link is None:
        return Nic(name=DEFAULT_INTERFACE)
    return Nic(link.number, address if group.family == "IPv4" else "", link.name, link.up, link.loopback)


def _check_broadcast(group: Group, nic: Nic, links: list[interface_watch.Link], platform: Platform) -> None:
    """Raise ``InvalidGroup`` if it is no broadcast address there."""
    if platform != "linux":
        raise Unsupported(f"cannot open {group}: broadcast is heard on Linux only; use a multicast group")
    link = next((link for link in links if link.number == nic.number), None)
    if nic.loopback:
        raise InvalidGroup(
            f"cannot open {group}: {nic.name} is loopback, which carries no broadcast; name a network interface, or "
            f'use a group such as "{DEFAULT_GROUP}"'
        )
    if group.address == BROADCAST or link is None or group.address in link.broadcasts:
        return
    there = ", ".join(f'"{address}"' for address in (BROADCAST, *link.broadcasts))
    raise InvalidGroup(
        f"{group.address} is neither a multicast address nor a broadcast address of {nic.name}: use {there}"
    )


def _all_nics(group: Group, links: list[interface_watch.Link]) -> list[Nic]:
    if links:
        return [
            Nic(link.number, _address(link, group), link.name)
            for link in links
            if link.up and link.multicast and not link.loopback and _has_address(link, group)
            if not (PLATFORM == "darwin" and link.name.startswith(_PSEUDO_ON_MACOS))
        ]
    return [
        Nic(number, "", name) for number, name in socket.if_nameindex() if not name.startswith(("lo", "software_loop"))
    ]


def _nic(number: int, name: str, group: Group, links: list[interface_watch.Link]) -> Nic:
    link = next((link for link in links if link.number == number), None)
    loopback = link.loopback if link else name in ("lo", "lo0")
    address = "127.0.0.1" if loopback and group.family == "IPv4" else _address(link, group) if link else ""
    return Nic(number, address, link.name if link else name, link.up if link else True, loopback)


def _address(link: interface_watch.Link, group: Group) -> str:
    """By which address to join: on Windows, where an index that is written as one (0.0.0.N) is not taken everywhere."""
    if PLATFORM != "win32" or group.family == "IPv6":
        return ""
    return next((address for address in link.addresses if "." in address), "")


def all_links() -> list[interface_watch.Link]:
    """Every interface of this machine, as far as the platform tells; none if it does not. Raises ``OSError``."""
    try:
        return _LISTS[PLATFORM]()
    except AttributeError:  # a C library without the call
        return []


def _links(group: Group, platform: Platform) -> list[interface_watch.Link]:
    """The interfaces, where this is the platform and it tells more of them than their names."""
    if platform != PLATFORM:
        return []
    try:
        return all_links()
    except OSError as error:  # some sandboxes have no netlink
        if is_exhausted(error):
            raise cannot_open(group, error) from error
    return []


def _on_linux() -> list[interface_watch.Link]:
    return interface_watch.links()


def _on_macos() -> list[interface_watch.Link]:
    from . import links_bsd

    return links_bsd.links()


def _on_windows() -> list[interface_watch.Link]:
    from . import links_windows

    return links_windows.links()


_LISTS: Final[dict[Platform, Callable[[], list[interface_watch.Link]]]] = {
    "linux": _on_linux,
    "darwin": _on_macos,
    "win32": _on_windows,
    "other": list,
}


def _has_address(link: interface_watch.Link, group: Group) -> bool:
    return any((":" in address) == (group.family == "IPv6") for address in link.addresses)


def choices() -> str:
    """Which interfaces there are, for an error's text."""
    try:
        names = ", ".join(f'"{name}"' for name in _names())
    except OSError:
        names = ""
    return f'there are "{LOOPBACK}", "{DEFAULT_INTERFACE}", "{ALL_INTERFACES}"' + (f", {names}" if names else "")


def _names() -> list[str]:
    with suppress(OSError):
        found = [link.name for link in all_links()]  # the C library of Windows has names that nobody sees
        if found:
            return found
    return [name for _, name in socket.if_nameindex()]


def _loopback_index(group: Group, platform: Platform) -> int:
    if platform == "win32":
        return 1  # of "Loopback Pseudo-Interface 1", on every machine
    return _index("lo0" if platform == "darwin" else "lo", group)


def _index(name: str, group: Group) -> int:
    try:
        return socket.if_nametoindex(name)
    except (OSError, ValueError) as error:  # ValueError: a NUL
        _check_descriptors(group)
        raise InvalidInterface(f"there is no interface {name!r} here; {choices()}") from error


def _name(number: int, group: Group) -> str:
    try:
        return socket.if_indextoname(number)
    except (OSError, OverflowError) as error:
        _check_descriptors(group)
        raise InvalidInterface(f"there is no interface with index {number} here; {choices()}") from error


def _check_descriptors(group: Group) -> None:
    """Raise ``CannotOpen`` if none is left: the C library asks with a socket, and does not say that it got none."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError as error:
        raise cannot_open(group, error) from error
