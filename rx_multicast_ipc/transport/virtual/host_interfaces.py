"""The interfaces of a virtual host: loopback, and one on the network."""

from __future__ import annotations

from typing import Final, NamedTuple

from ...errors import InvalidInterface
from ...group import ALL_INTERFACES, DEFAULT_INTERFACE, LOOPBACK, Group
from ...message import Family
from ...validation.numeric_address import Ip

NETWORK_INTERFACE: Final = "eth0"
"""What a host's interface on the network is called, unless it was given a name."""

LOOPBACK_ADDRESSES: Final[dict[Family, str]] = {"IPv4": "127.0.0.1", "IPv6": "::1"}

_LOOPBACK_NAME: Final = "lo"


class Interface(NamedTuple):
    """One interface of a host.

    Attributes:
        name: as in ``Message.interface``.
        address: where what is sent by it comes from.
        is_loopback: whether it leads to the host itself alone.
    """

    name: str
    address: str
    is_loopback: bool


def interfaces_of(group: Group, host: str, name: str) -> tuple[Interface, ...]:
    """The interfaces that ``group`` names, on a host with that address whose network interface has that name.

    Raises:
        InvalidInterface: it names one that the host has not.
    """
    loopback = Interface(_LOOPBACK_NAME, LOOPBACK_ADDRESSES[group.family], True)
    network = Interface(name, host, False)
    known = {
        **dict.fromkeys((LOOPBACK, loopback.name, loopback.address), loopback),
        **dict.fromkeys((DEFAULT_INTERFACE, ALL_INTERFACES, name, host), network),
    }
    found: dict[Interface, None] = {}
    for wanted in group.interfaces:
        address = Ip.parse(wanted)
        interface = known.get(wanted if address is None else str(address))
        if interface is None:
            what = f"there is no interface {wanted!r} on" if address is None else f"{wanted} is not an address of"
            raise InvalidInterface(
                f'{what} the virtual host {host}; there are "loopback", "default", "all", "{loopback.name}", "{name}" '
                f'and {host}; add_host("{host}", interface=...) names it as it is called where the program runs'
            )
        found[interface] = None
    return tuple(found)
