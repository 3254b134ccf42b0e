"""What one UDP datagram over IP carries, and where it may go: for every transport of that kind, live or virtual."""

from __future__ import annotations

from typing import Final

from ..errors import InvalidAddress, Unsupported
from ..group import Group
from ..message import Family
from ..validation.arguments import shown
from ..validation.numeric_address import Ip

PAYLOAD_LIMITS: Final[dict[Family, int]] = {"IPv4": 65_507, "IPv6": 65_527}
"""Bytes of payload that one UDP datagram carries (RFC 768, RFC 791, RFC 8200)."""

_THIS_MACHINE: Final[dict[Family, str]] = {"IPv4": "127.0.0.1", "IPv6": "::1"}


def check_ip_destination(address: str, group: Group) -> str | None:
    """See :meth:`Transport.check_destination`; ``""`` is this machine, as in Node's dgram."""
    if not isinstance(address, str):
        raise InvalidAddress(f"address must be a host name or a numeric address, not {shown(address)}")
    if address == "":
        address = _THIS_MACHINE[group.family]
    ip = Ip.parse(address)
    if ip is None:
        return None
    if ip.is_mapped:
        raise InvalidAddress(f"{address} is an IPv4 address: send to {ip.unmapped} from a channel in an IPv4 group")
    if ip.family != group.family:
        raise InvalidAddress(f"{address} is an {ip.family} address, but this channel's group is {group.family}")
    if group.is_loopback and not (ip.is_loopback or ip.is_multicast):
        raise InvalidAddress(
            f"{address} is not on this machine's loopback interface, which is all that this channel may use; "
            'open it with interface="default", or name an interface, to talk to the network'
        )
    return address


def no_names(name: str) -> Unsupported:
    """What a transport without host names raises where it is given one."""
    return Unsupported(f"a virtual network has no host names; send to a host's numeric address, not {name!r}")
