"""Which system calls set up a multicast socket: the only file that asks which platform this is.

A *plan* is the ordered list of what is done to a fresh socket. Plans are data, so that each platform's can
be read, compared and tested on any other. Sources: ip(7), ipv6(7), socket(7), udp(7) on Linux; ip(4) on
macOS; "IPPROTO_IP Socket Options" and "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE" on Windows.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal, NamedTuple

from ..errors import (
    CannotOpen,
    InvalidAddress,
    InvalidInterface,
    MulticastError,
    NoRoute,
    PortInUse,
    SendFailed,
    Unsupported,
)
from ..group import DEFAULT_INTERFACE, LOOPBACK, Group, Ip
from ..message import Address

Platform = Literal["linux", "darwin", "win32"]

PLATFORM: Final[Platform] = "win32" if sys.platform == "win32" else "darwin" if sys.platform == "darwin" else "linux"

SEND_BUFFER: Final = 1 << 20
"""Bytes of send buffer to ask for. macOS starts with 9216, less than one large datagram."""

_MISSING: Final[dict[Platform, dict[str, int]]] = {
    "linux": {"IP_MULTICAST_ALL": 49, "IPV6_MULTICAST_ALL": 29, "SO_RCVBUFFORCE": 33, "SO_MEMINFO": 55, "UDP_GRO": 104},
    "darwin": {"IP_MULTICAST_IFINDEX": 66},
    "win32": {},
}
"""Options that the ``socket`` module does not name."""

_MEMINFO_WORDS: Final = 9
_MEMINFO_DROPS: Final = 8


class Option(NamedTuple):
    """One ``setsockopt``. A best-effort one may fail: an older kernel, or the lack of a privilege."""

    level: str
    name: str
    value: int | bytes
    best_effort: bool = False


class Bind(NamedTuple):
    """One ``bind``."""

    address: str
    port: int
    scope: int = 0


Plan = Sequence[Option | Bind]


class Nic(NamedTuple):
    """A network interface, as far as the system calls need to know it: number 0 (its index) and no address mean any."""

    number: int = 0
    address: str = ""


def find_nic(group: Group, platform: Platform = PLATFORM) -> Nic:
    """The interface that ``group.interface`` names; raises ``InvalidInterface``, listing what there is."""
    interface = group.interface
    if interface == LOOPBACK:
        return Nic(_index("lo0" if platform == "darwin" else "lo") if platform != "win32" else 0, "127.0.0.1")
    if interface == DEFAULT_INTERFACE:
        return Nic()
    ip = Ip.parse(interface)
    if ip is not None and ip.family == "IPv4":
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((interface, 0))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise cannot_open(group, error) from error
            raise InvalidInterface(f"{interface} is not an address of this machine; {_choices()}") from error
        return Nic(0, interface)
    if ip is not None:
        scope = ip.scope
        if not scope:
            raise InvalidInterface(
                f'{interface} does not say which interface it is on; name the interface, or write "{interface}%name"'
            )
        return Nic(int(scope) if scope.isdigit() else _index(scope))
    return Nic(_index(interface), "127.0.0.1" if interface in ("lo", "lo0") and group.family == "IPv4" else "")


def receive_plan(
    group: Group, nic: Nic, receive_buffer: int, platform: Platform = PLATFORM, *, trains: bool = False
) -> Plan:
    """How the socket that listens to the group is set up; with ``trains`` it may be given many datagrams as one."""
    plan: list[Option | Bind] = [*_sharing(platform)]
    if group.family == "IPv6":
        plan.append(Option("IPPROTO_IPV6", "IPV6_V6ONLY", 1))
    plan += _receive_buffer(receive_buffer, platform)
    if platform == "linux":
        # Else it also gets what other processes joined on this port (ip(7), IP_MULTICAST_ALL).
        if group.family == "IPv4":
            plan.append(Option("IPPROTO_IP", "IP_MULTICAST_ALL", 0))
        else:
            plan.append(Option("IPPROTO_IPV6", "IPV6_MULTICAST_ALL", 0, best_effort=True))
    if platform == "win32":
        plan += _loop(group)  # there, looping back is the receiver's choice
    # Bound to the group it takes no unicast from others on the port. Windows cannot bind to a group.
    if platform == "win32":
        plan.append(Bind("", group.port))
    else:
        plan.append(Bind(group.address, group.port, nic.number if group.family == "IPv6" else 0))
    plan.append(_join(group, nic, platform))
    if trains:
        plan.append(Option("IPPROTO_UDP", "UDP_GRO", 1, best_effort=True))
    return plan


def send_plan(group: Group, nic: Nic, receive_buffer: int, platform: Platform = PLATFORM) -> Plan:
    """How the socket that sends, and hears direct replies, is set up."""
    plan: list[Option | Bind] = [*_sharing(platform)] if platform == "darwin" else []
    if group.family == "IPv6":
        plan.append(Option("IPPROTO_IPV6", "IPV6_V6ONLY", 1))
    plan += _receive_buffer(receive_buffer, platform)
    plan.append(Option("SOL_SOCKET", "SO_SNDBUF", SEND_BUFFER, best_effort=True))
    plan += _outgoing(group, nic, platform)
    if group.family == "IPv4":
        plan.append(Option("IPPROTO_IP", "IP_MULTICAST_TTL", group.ttl))
    else:
        plan.append(Option("IPPROTO_IPV6", "IPV6_MULTICAST_HOPS", group.ttl))
    plan += _loop(group)
    plan.append(Bind("127.0.0.1" if group.is_loopback else "", 0))
    if platform == "win32" and group.is_loopback:
        plan.append(_join(group, nic, platform))  # else the first send finds no route
    return plan


def open_socket(group: Group, plan: Plan) -> socket.socket:
    """A non-blocking socket set up by ``plan``; raises ``CannotOpen``, with nothing left open."""
    try:
        opened = socket.socket(_family(group), socket.SOCK_DGRAM)
    except OSError as error:
        raise cannot_open(group, error) from error
    try:
        for step in plan:
            if isinstance(step, Bind):
                opened.bind(_socket_address(group, step))
            else:
                _set(opened, step)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise cannot_open(group, error) from error
    except BaseException:
        opened.close()
        raise
    return opened


def sender_address(group: Group, nic: Nic, sender: socket.socket) -> Address:
    """Where datagrams of ``sender`` to the group come from. Nothing is sent."""
    host, port = sender.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        with suppress(OSError), socket.socket(_family(group), socket.SOCK_DGRAM) as probe:
            for option in _outgoing(group, nic, PLATFORM):
                _set(probe, option)
            probe.connect(_socket_address(group, Bind(group.address, group.port, nic.number)))
            host = probe.getsockname()[0]
            if host.startswith(("fe8", "fe9", "fea", "feb")):  # fe80::/10 (RFC 4291)
                # The kernel itself names the link only if the group's scope is one link, too.
                host = ipv6_text(host, probe.getsockname()[3] or nic.number)
    elif group.family == "IPv6":
        host = ipv6_text(host, sender.getsockname()[3])
    return host, port


def ipv6_text(address: str, scope: int) -> str:
    """An IPv6 address with the name of its link, where it has one: without it nothing can be sent there."""
    return f"{address}%{socket.if_indextoname(scope)}" if scope else address


def ipv6_destination(destination: Address) -> tuple[str, int, int, int]:
    """The opposite: what the system calls take. A 2-tuple would lose the link."""
    address, _, scope = destination[0].partition("%")
    return address, destination[1], 0, int(scope) if scope.isdigit() else socket.if_nametoindex(scope) if scope else 0


def look_up(name: str, group: Group) -> str:
    """The numeric address of a host, of the group's family; blocks until the system's resolver answers."""
    try:
        found = socket.getaddrinfo(name, None, _family(group), socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise InvalidAddress(f"cannot find a host called {name!r}: {error}; check the name") from error
    address = found[0][4]
    return ipv6_text(str(address[0]), int(address[3])) if len(address) == 4 else str(address[0])


def granted_receive_buffer(opened: socket.socket) -> int:
    """Bytes of receive buffer, as one would ask for them."""
    granted = opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return granted // 2 if PLATFORM == "linux" else granted  # socket(7): the kernel doubles what was asked


def kernel_drops(opened: socket.socket) -> int | None:
    """How many datagrams the kernel dropped for this socket; None where it does not tell."""
    if PLATFORM != "linux":
        return None
    try:
        words = opened.getsockopt(socket.SOL_SOCKET, _number("SO_MEMINFO"), 4 * _MEMINFO_WORDS)
    except OSError:
        return None
    return struct.unpack_from("=I", words, 4 * _MEMINFO_DROPS)[0]


def is_transient(error: OSError) -> bool:
    """Whether a failed read says something about a peer or a link, not about the socket."""
    return error.errno in _TRANSIENT


def cannot_open(group: Group, error: OSError) -> MulticastError:
    """``error``, met while opening, as advice that a user can act on."""
    number = error.errno
    why = f"cannot open {group}: {_reason(error)}"
    if number == errno.EADDRINUSE:
        return PortInUse(
            f"{why}; another program holds port {group.port} without sharing it (SO_REUSEADDR): "
            "stop it, or choose another port"
        )
    if number in (errno.ENODEV, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EHOSTUNREACH):
        return NoRoute(
            f'{why}; no route leads to the group there: use interface="loopback" for this machine alone, '
            "or name an interface that is up and has an address"
        )
    if number == errno.EACCES:
        return CannotOpen(f"{why}; ports below 1024 need privileges: choose a higher one")
    if number in (errno.EMFILE, errno.ENFILE):
        return CannotOpen(f"{why}; close channels that are no longer needed, or raise the limit (ulimit -n)")
    if number in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
        return Unsupported(f"{why}; this machine has no {group.family}: choose a group of the other version")
    return CannotOpen(why)


def send_failed(group: Group, destination: Address | None, error: OSError) -> SendFailed:
    """``error`` as advice that a user can act on."""
    where = f"{destination[0]}:{destination[1]}" if destination else str(group)
    advice = _SEND_ADVICE.get(error.errno or 0, "ops.retry() sends again")
    return SendFailed(f"cannot send to {where}: {_reason(error)}; {advice}")


_TRANSIENT: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "EINTR", "EMSGSIZE", "ENETDOWN", "ENETRESET", "ENETUNREACH"),
        *("ENOBUFS", "ENOMEM", "WSAECONNRESET", "WSAEMSGSIZE", "WSAENETDOWN", "WSAENETRESET"),
    )
    if hasattr(errno, name)
)

_SEND_ADVICE: Final[dict[int, str]] = {
    errno.EAGAIN: "the link is slower than the sender: pace the sends, or ops.retry() after a delay",
    errno.ENOBUFS: "the system is out of send buffers: pace the sends, or send smaller payloads",
    errno.EPERM: "a firewall refused it: allow UDP to this group and port",
    errno.EACCES: "the address is a broadcast address or a firewall refused it: send to the group instead",
    errno.ENETUNREACH: "the interface is down or no route leads there: bring it up, or choose another interface",
    errno.EHOSTUNREACH: "no host answers there (on macOS: allow Local Network access for this program)",
    errno.EMSGSIZE: "the interface carries no payload of this size: send smaller ones",
    errno.EINVAL: "this interface cannot reach that address: choose another interface",
}


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _choices() -> str:
    try:
        names = ", ".join(f'"{name}"' for _, name in socket.if_nameindex())
    except OSError:
        names = ""
    return f'there are "{LOOPBACK}", "{DEFAULT_INTERFACE}"' + (f", {names}" if names else "")


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise InvalidInterface(f'there is no interface "{name}" here; {_choices()}') from error


def _family(group: Group) -> socket.AddressFamily:
    return socket.AF_INET if group.family == "IPv4" else socket.AF_INET6


def _socket_address(group: Group, bind: Bind) -> tuple[str, int] | tuple[str, int, int, int]:
    if group.family == "IPv4":
        return bind.address, bind.port
    return bind.address, bind.port, 0, bind.scope


def _sharing(platform: Platform) -> list[Option]:
    # Not SO_REUSEPORT on Linux: it shuts out later openers that set SO_REUSEADDR alone.
    share = [Option("SOL_SOCKET", "SO_REUSEADDR", 1)]
    if platform == "darwin":
        share.append(Option("SOL_SOCKET", "SO_REUSEPORT", 1))
    return share


def _receive_buffer(size: int, platform: Platform) -> list[Option]:
    ask = [Option("SOL_SOCKET", "SO_RCVBUF", size, best_effort=True)]
    if platform == "linux":
        ask.append(Option("SOL_SOCKET", "SO_RCVBUFFORCE", size, best_effort=True))  # root may go past rmem_max
    return ask


def _loop(group: Group) -> list[Option]:
    if group.family == "IPv4":
        return [Option("IPPROTO_IP", "IP_MULTICAST_LOOP", 1)]
    return [Option("IPPROTO_IPV6", "IPV6_MULTICAST_LOOP", 1)]


def _join(group: Group, nic: Nic, platform: Platform) -> Option:
    packed = _packed(group.address)
    if group.family == "IPv6":
        return Option("IPPROTO_IPV6", "IPV6_JOIN_GROUP", packed + struct.pack("=I", nic.number))
    if platform == "win32" or (platform == "darwin" and nic.address):
        return Option("IPPROTO_IP", "IP_ADD_MEMBERSHIP", packed + _ip_or_index(nic))
    return Option("IPPROTO_IP", "IP_ADD_MEMBERSHIP", packed + _mreqn_tail(nic))


def _outgoing(group: Group, nic: Nic, platform: Platform) -> list[Option]:
    if nic == Nic():
        return []
    if group.family == "IPv6":
        return [Option("IPPROTO_IPV6", "IPV6_MULTICAST_IF", nic.number)]
    if platform == "linux":
        # The address as well: by index alone, loopback sends from 0.0.0.0.
        return [Option("IPPROTO_IP", "IP_MULTICAST_IF", bytes(4) + _mreqn_tail(nic))]
    if platform == "darwin" and not nic.address:
        return [Option("IPPROTO_IP", "IP_MULTICAST_IFINDEX", nic.number)]
    return [Option("IPPROTO_IP", "IP_MULTICAST_IF", _ip_or_index(nic))]


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _mreqn_tail(nic: Nic) -> bytes:
    return _packed(nic.address or "0.0.0.0") + struct.pack("=i", nic.number)


def _ip_or_index(nic: Nic) -> bytes:
    """An interface as four bytes: its address, or its index written as 0.0.0.N (Windows)."""
    return _packed(nic.address) if nic.address else struct.pack("!I", nic.number)


def _number(name: str) -> int:
    return _MISSING[PLATFORM].get(name) or getattr(socket, name)


def _set(opened: socket.socket, option: Option) -> None:
    try:
        opened.setsockopt(_number(option.level), _number(option.name), option.value)
    except OSError:
        if not option.best_effort:
            raise
