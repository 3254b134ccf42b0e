"""Which system calls set up a multicast socket, on each platform.

A *plan* is the ordered list of what is done to a fresh socket. Plans are data, so that each platform's can
be read, compared and tested on any other. Sources: ip(7), ipv6(7), socket(7), udp(7) on Linux; ip(4) on
macOS; "IPPROTO_IP Socket Options" and "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE" on Windows.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from ...group import DEFAULT_INTERFACE, LOOPBACK, Group
from ...message import Family
from .interfaces import Nic
from .platform import PLATFORM, Platform

SEND_BUFFER: Final = 1 << 20
"""Bytes of send buffer to ask for. macOS starts with 9216, less than one large datagram."""

MISSING: Final[dict[Platform, dict[str, int]]] = {
    "linux": {
        "IP_MULTICAST_ALL": 49,
        "IPV6_MULTICAST_ALL": 29,
        "SO_RCVBUFFORCE": 33,
        "SO_MEMINFO": 55,
        "UDP_GRO": 104,
        "IP_PKTINFO": 8,
        "IP_UNICAST_IF": 50,
        "IPV6_UNICAST_IF": 76,
        "MCAST_JOIN_SOURCE_GROUP": 46,
        "MCAST_LEAVE_SOURCE_GROUP": 47,
    },
    "darwin": {
        "IP_MULTICAST_IFINDEX": 66,
        "IP_PKTINFO": 26,
        "IPV6_RECVPKTINFO": 61,
        "IP_ADD_SOURCE_MEMBERSHIP": 70,
        "IP_DROP_SOURCE_MEMBERSHIP": 71,
        "MCAST_JOIN_GROUP": 80,
        "MCAST_LEAVE_GROUP": 81,
        "MCAST_JOIN_SOURCE_GROUP": 82,
        "MCAST_LEAVE_SOURCE_GROUP": 83,
    },
    "win32": {
        "IP_UNICAST_IF": 31,
        "IPV6_UNICAST_IF": 31,
        "IP_ADD_SOURCE_MEMBERSHIP": 15,
        "IP_DROP_SOURCE_MEMBERSHIP": 16,
        "MCAST_JOIN_SOURCE_GROUP": 45,
        "MCAST_LEAVE_SOURCE_GROUP": 46,
    },
    "other": {},
}
"""Options that the ``socket`` module does not name, in some of the versions of Python that are supported."""

_SIO_UDP_CONNRESET: Final = 0x9800000C
"""Whether a datagram that nobody took ends the next read with an error (Winsock IOCTLs)."""

MULTICAST_ALL: Final[dict[Family, tuple[str, str]]] = {
    "IPv4": ("IPPROTO_IP", "IP_MULTICAST_ALL"),
    "IPv6": ("IPPROTO_IPV6", "IPV6_MULTICAST_ALL"),
}

_POINTER: Final = struct.calcsize("P")


class Option(NamedTuple):
    """One ``setsockopt``. A best-effort one may fail: an older kernel, or the lack of a privilege.

    Attributes:
        level, name, value: its arguments.
        best_effort: whether it may fail.
        or_less: whether half as much is asked for, and so on, where it fails.
    """

    level: str
    name: str
    value: int | bytes
    best_effort: bool = False
    or_less: bool = False


class Ioctl(NamedTuple):
    """One ``WSAIoctl`` that takes a boolean, on Windows; it may fail."""

    code: int
    value: bool


class Bind(NamedTuple):
    """One ``bind``."""

    address: str
    port: int
    scope: int = 0


Step = Option | Bind | Ioctl
Plan = Sequence[Step]


def receive_plan(
    group: Group,
    nic: Nic,
    receive_buffer: int,
    platform: Platform = PLATFORM,
    *,
    gro: bool = False,
    tells: bool = False,
) -> Plan:
    """How the socket that listens to the group is set up.

    Args:
        group, nic: where.
        receive_buffer: bytes to ask for.
        platform: whose calls.
        gro: whether it may be given many datagrams as one.
        tells: whether it says by which interface each came.
    """
    plan: list[Step] = [*share_port(platform)]
    if group.family == "IPv6":
        plan.append(Option("IPPROTO_IPV6", "IPV6_V6ONLY", 1))
    plan += ask_for_buffer(receive_buffer, platform)
    if platform == "linux":
        # Else it also gets what other processes joined on this port (ip(7), IP_MULTICAST_ALL).
        plan.append(Option(*MULTICAST_ALL[group.family], 0, best_effort=True))
    if platform == "win32":
        plan += _loop(group)  # there, looping back is the receiver's choice
    # Bound to the group it takes no unicast from others on the port. Windows cannot bind to a group.
    if platform == "win32":
        plan.append(Bind("", group.port))
    else:
        plan.append(Bind(group.address, group.port, nic.number if group.family == "IPv6" else 0))
    if tells:
        plan += tell_interfaces(group, platform)
    plan += membership(group, nic, platform)
    if gro:
        plan.append(Option("IPPROTO_UDP", "UDP_GRO", 1, best_effort=True))
    return plan


def membership(group: Group, nic: Nic, platform: Platform = PLATFORM, *, leave: bool = False) -> list[Option]:
    """How a socket that listens joins the group on an interface, or leaves it."""
    if group.is_broadcast:
        return []  # there is nothing to join
    packed = _packed(group.address)
    level = "IPPROTO_IP" if group.family == "IPv4" else "IPPROTO_IPV6"
    # By address where that is how it joins without sources, too.
    by_address = bool(nic.address) and (platform == "win32" or (platform == "darwin" and not nic.number))
    if group.sources and by_address:
        name = "IP_DROP_SOURCE_MEMBERSHIP" if leave else "IP_ADD_SOURCE_MEMBERSHIP"
        request = [packed + _packed(source) + _packed(nic.address) for source in group.sources]
        return [Option(level, name, value) for value in request]
    if group.sources:
        name = "MCAST_LEAVE_SOURCE_GROUP" if leave else "MCAST_JOIN_SOURCE_GROUP"
        return [Option(level, name, _group_request(nic, platform, group.address, source)) for source in group.sources]
    if group.family == "IPv6":
        name = "IPV6_LEAVE_GROUP" if leave else "IPV6_JOIN_GROUP"
        return [Option(level, name, packed + struct.pack("=I", nic.number))]
    if platform == "darwin" and nic.number:
        # IP_ADD_MEMBERSHIP knows addresses alone there: of an ip_mreqn it takes the first eight bytes, and the index,
        # which comes last, would be the default interface's.
        name = "MCAST_LEAVE_GROUP" if leave else "MCAST_JOIN_GROUP"
        return [Option(level, name, _group_request(nic, platform, group.address))]
    name = "IP_DROP_MEMBERSHIP" if leave else "IP_ADD_MEMBERSHIP"
    return [Option(level, name, packed + (_mreqn_tail(nic) if platform == "linux" else _ip_or_index(nic)))]


def send_plan(
    group: Group, nic: Nic | None, receive_buffer: int, platform: Platform = PLATFORM, *, from_group: bool = False
) -> Plan:
    """How the socket that sends, and hears direct replies, is set up.

    Args:
        group: where to.
        nic: by which interface; None if there is none yet.
        receive_buffer: bytes to ask for.
        platform: whose calls.
        from_group: whether it sends from the group's port, which it shares.
    """
    plan: list[Step] = []
    if from_group:
        plan += share_port(platform)
        if platform == "linux":  # else it would hear every group that anybody joined on its port
            plan.append(Option(*MULTICAST_ALL[group.family], 0))
    if group.family == "IPv6":
        plan.append(Option("IPPROTO_IPV6", "IPV6_V6ONLY", 1))
    plan += ask_for_buffer(receive_buffer, platform)
    plan.append(Option("SOL_SOCKET", "SO_SNDBUF", SEND_BUFFER, best_effort=True, or_less=True))
    if platform == "win32":
        plan.append(Ioctl(_SIO_UDP_CONNRESET, False))
    if nic is not None:
        plan += outgoing(group, nic, platform)
    if group.has_several_interfaces:
        plan += tell_interfaces(group, platform)
    if group.family == "IPv4":
        plan.append(Option("IPPROTO_IP", "IP_MULTICAST_TTL", group.ttl))
    else:
        plan.append(Option("IPPROTO_IPV6", "IPV6_MULTICAST_HOPS", group.ttl))
    plan += _loop(group)
    plan.append(Bind("127.0.0.1" if group.is_loopback else "", group.port if from_group else 0))
    if platform == "win32" and group.is_loopback and nic is not None:
        plan += membership(group, nic, platform)  # else the first send finds no route
    return plan


def outgoing(group: Group, nic: Nic, platform: Platform = PLATFORM) -> list[Option]:
    """How a socket that sends is turned to an interface."""
    if not nic.number and not nic.address:
        return []
    plan: list[Option] = []
    if group.is_broadcast:
        plan.append(Option("SOL_SOCKET", "SO_BROADCAST", 1))
    named = not {DEFAULT_INTERFACE, LOOPBACK} & {*group.interfaces} and not group.has_several_interfaces
    if named and nic.number and platform != "darwin":
        # What goes to one address stays on the interface that was asked for, too.
        level, name = ("IPPROTO_IP", "IP_UNICAST_IF") if group.family == "IPv4" else ("IPPROTO_IPV6", "IPV6_UNICAST_IF")
        order = "=" if platform == "win32" and group.family == "IPv6" else "!"
        plan.append(Option(level, name, struct.pack(f"{order}I", nic.number), best_effort=True))
    if group.family == "IPv6":
        return [*plan, Option("IPPROTO_IPV6", "IPV6_MULTICAST_IF", nic.number)]
    if platform == "linux":
        # The address as well: by index alone, loopback sends from 0.0.0.0.
        return [*plan, Option("IPPROTO_IP", "IP_MULTICAST_IF", bytes(4) + _mreqn_tail(nic))]
    if platform == "darwin" and not nic.address:
        return [Option("IPPROTO_IP", "IP_MULTICAST_IFINDEX", nic.number)]
    return [*plan, Option("IPPROTO_IP", "IP_MULTICAST_IF", _ip_or_index(nic))]


def tell_interfaces(group: Group, platform: Platform = PLATFORM) -> list[Option]:
    """How a socket is made to say by which interface each datagram came."""
    if platform == "win32":  # which has no recvmsg() in Python
        return []
    level, name = ("IPPROTO_IP", "IP_PKTINFO") if group.family == "IPv4" else ("IPPROTO_IPV6", "IPV6_RECVPKTINFO")
    return [Option(level, name, 1)]


def share_port(platform: Platform = PLATFORM) -> list[Option]:
    """How a socket is bound to a port that others have, too."""
    # Not SO_REUSEPORT on Linux: it shuts out later openers that set SO_REUSEADDR alone.
    share = [Option("SOL_SOCKET", "SO_REUSEADDR", 1)]
    if platform == "darwin":
        share.append(Option("SOL_SOCKET", "SO_REUSEPORT", 1))
    return share


def ask_for_buffer(size: int, platform: Platform = PLATFORM) -> list[Option]:
    """How a socket gets so many bytes of receive buffer, or as many as it may have."""
    ask = [Option("SOL_SOCKET", "SO_RCVBUF", size, best_effort=True, or_less=True)]  # macOS takes no more than it has
    if platform == "linux":
        ask.append(Option("SOL_SOCKET", "SO_RCVBUFFORCE", size, best_effort=True))  # root may go past rmem_max
    return ask


def _loop(group: Group) -> list[Option]:
    if group.family == "IPv4":
        return [Option("IPPROTO_IP", "IP_MULTICAST_LOOP", 1)]
    return [Option("IPPROTO_IPV6", "IPV6_MULTICAST_LOOP", 1)]


def _group_request(nic: Nic, platform: Platform, *addresses: str, pointer: int = _POINTER) -> bytes:
    """``struct group_req``, or with a source ``group_source_req`` (RFC 3678), as each system aligns the addresses."""
    packed = platform == "darwin" or (platform == "linux" and pointer == 4)
    return struct.pack("=I" if packed else "=I4x", nic.number) + b"".join(
        _sockaddr(address, platform).ljust(128, b"\0") for address in addresses
    )


def _sockaddr(address: str, platform: Platform) -> bytes:
    """``struct sockaddr_in`` or ``sockaddr_in6``."""
    packed = _packed(address)
    is_ipv6 = len(packed) == 16
    body = struct.pack("!HI16sI", 0, 0, packed, 0) if is_ipv6 else struct.pack("!H4s8x", 0, packed)
    family = {"linux": 10, "darwin": 30, "win32": 23}.get(platform, socket.AF_INET6) if is_ipv6 else 2
    return (struct.pack("BB", 2 + len(body), family) if platform == "darwin" else struct.pack("=H", family)) + body


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _mreqn_tail(nic: Nic) -> bytes:
    return _packed(nic.address or "0.0.0.0") + struct.pack("=i", nic.number)


def _ip_or_index(nic: Nic) -> bytes:
    """An interface as four bytes: its address, or its index written as 0.0.0.N (Windows)."""
    return _packed(nic.address) if nic.address else struct.pack("!I", nic.number)
