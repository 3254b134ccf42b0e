"""Addresses of this machine and others, as messages have them and as the system calls take them.

A message's address is one text, which for IPv6 names the link where it has one: ``fe80::1%eth0``. Sources: RFC 4291,
RFC 4007 section 11.
"""

from __future__ import annotations

import socket
from contextlib import suppress

from ...errors import InvalidAddress
from ...group import Group
from ...message import Address
from .interfaces import Nic, choices
from .platform import PLATFORM, Platform
from .socket_options import apply, socket_address, socket_family
from .socket_plans import Bind, outgoing


def source_address(group: Group, nic: Nic, platform: Platform = PLATFORM) -> str:
    """Where datagrams to the group come from that leave by ``nic``; ``""`` if none can. Nothing is sent."""
    if group.is_loopback:
        return "127.0.0.1"
    with suppress(OSError), socket.socket(socket_family(group), socket.SOCK_DGRAM) as probe:
        apply(probe, outgoing(group, nic, platform))
        probe.connect(socket_address(group, Bind(group.address, group.port, nic.number)))
        name = probe.getsockname()
        if name[0] in ("0.0.0.0", "::"):  # an interface without an address
            return ""
        is_link_local = name[0].startswith(("fe8", "fe9", "fea", "feb"))  # fe80::/10 (RFC 4291)
        # The kernel itself names the link only if the group's scope is one link, too.
        return ipv6_text(name[0], name[3] or nic.number) if is_link_local else name[0]
    return ""


def ipv6_text(address: str, scope: int) -> str:
    """An IPv6 address with the name of its link, where it has one: without it nothing can be sent there."""
    if not scope:
        return address
    try:
        return f"{address}%{socket.if_indextoname(scope)}"
    except OSError:  # the link is gone, and this was on its way
        return f"{address}%{scope}"


def ipv6_destination(destination: Address) -> tuple[str, int, int, int]:
    """The opposite: what the system calls take. A 2-tuple would lose the link. ``InvalidAddress``: the link is gone."""
    address, _, scope = destination[0].partition("%")
    return address, destination[1], 0, _scope(destination[0], scope) if scope else 0


def _scope(address: str, scope: str) -> int:
    if scope.isdecimal() and scope.isascii() and len(scope) < 10:
        return int(scope)
    try:
        return socket.if_nametoindex(scope)
    except (OSError, ValueError) as error:  # ValueError: a NUL
        raise InvalidAddress(f"{address} names a link that is not here; {choices()}") from error


def is_local(address: str) -> bool:
    """Whether an address is one of this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind(ipv6_destination((address, 0)) if family == socket.AF_INET6 else (address, 0))
        return True
    return False


def look_up(name: str, group: Group) -> str:
    """The numeric address of a host, of the group's family; blocks until the system's resolver answers."""
    try:
        found = socket.getaddrinfo(name, None, socket_family(group), socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise InvalidAddress(f"cannot find a host called {name!r}: {error}; check the name") from error
    address = found[0][4]
    return ipv6_text(str(address[0]), int(address[3])) if len(address) == 4 else str(address[0])
