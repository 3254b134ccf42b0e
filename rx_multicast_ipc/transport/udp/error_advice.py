"""What the operating system says, as advice that a user can act on."""

from __future__ import annotations

import errno
from typing import Final

from ...errors import CannotOpen, MulticastError, NoRoute, PortInUse, SendFailed, Unsupported
from ...group import Group
from ...message import Address
from .platform import PLATFORM, Platform


def is_transient(error: OSError) -> bool:
    """Whether a failed read says something about a peer or a link, not about the socket."""
    return error.errno in _TRANSIENT


def is_exhausted(error: BaseException) -> bool:
    """Whether the system, or this process, is out of what a call needs, so that it told nothing."""
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in _EXHAUSTED


def cannot_open(group: Group, error: BaseException, doing: str = "", platform: Platform = PLATFORM) -> MulticastError:
    """``error``, met while opening, as advice that a user can act on.

    Args:
        group: what was to be opened.
        error: what went wrong: an ``OSError``, ``MemoryError``, or the ``RuntimeError`` of a thread that cannot start.
        doing: the option that was to be set, ``"bind"``, ``"route"``, or ``""``.
        platform: whose errors these are.
    """
    number = error.errno if isinstance(error, OSError) else None
    why = f"cannot open {group}: {_reason(error)}"
    if doing == "route" and number not in _EXHAUSTED:
        return NoRoute(
            f"{why}; the routes lead nowhere from here (`{_SHOW_ROUTE[platform]} {group.address}` shows which one): "
            'name the interface, or use interface="loopback" for this machine alone'
        )
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
    if number == errno.EACCES and platform == "win32":
        return PortInUse(
            f"{why}; another program holds port {group.port} for itself alone (SO_EXCLUSIVEADDRUSE), or Windows "
            "reserved it (`netsh interface ipv4 show excludedportrange protocol=udp` lists it): choose another port"
        )
    if number == errno.EACCES and group.port < _UNPRIVILEGED:
        return CannotOpen(f"{why}; ports below {_UNPRIVILEGED} need privileges: choose a higher one")
    if number in (errno.EACCES, errno.EPERM):
        return CannotOpen(
            f"{why}; a sandbox, or a policy such as SELinux, does not let this process use its port or options: "
            "allow it UDP sockets, or choose another port"
        )
    if number in (errno.EMFILE, errno.ENFILE):
        limit = "" if platform == "win32" else ", or raise the limit (ulimit -n)"
        return CannotOpen(f"{why}; close channels that are no longer needed{limit}")
    if number == errno.ENOBUFS and doing in MEMBERSHIPS and platform == "linux":
        return CannotOpen(f"{why}; the system takes no more memberships of a socket: raise {_membership_limit(group)}")
    if number in (errno.ENOBUFS, errno.ENOMEM) or isinstance(error, MemoryError):
        return CannotOpen(
            f"{why}; no memory is left for it: close what is not needed, or ask for a smaller receive_buffer"
        )
    if number in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
        return Unsupported(f"{why}; this machine has no {group.family}: choose a group of the other version")
    if isinstance(error, RuntimeError):
        return CannotOpen(
            f"{why}; close channels that are no longer needed, or raise the limit of threads (ulimit -u; in a "
            "container, its limit of processes)"
        )
    return CannotOpen(f"{why}; `rx-multicast-ipc doctor` looks for the cause")


_SHOW_ROUTE: Final[dict[Platform, str]] = {
    "linux": "ip route get",
    "darwin": "route -n get",
    "win32": "Find-NetRoute -RemoteIPAddress",
    "other": "route get",
}
"""What shows where the routes lead, before the address."""

MEMBERSHIPS: Final = frozenset(
    {
        *("IP_ADD_MEMBERSHIP", "IP_ADD_SOURCE_MEMBERSHIP", "IPV6_JOIN_GROUP"),
        *("MCAST_JOIN_GROUP", "MCAST_JOIN_SOURCE_GROUP"),
    }
)
"""Options that join a group."""


def _membership_limit(group: Group) -> str:
    if group.family == "IPv6":
        return "net.ipv6.mld_max_msf" if group.sources else "net.core.optmem_max"
    return "net.ipv4.igmp_max_msf" if group.sources else "net.ipv4.igmp_max_memberships"


def send_failed(group: Group, destination: Address | None, error: OSError) -> SendFailed:
    """``error`` as advice that a user can act on."""
    where = f"{destination[0]}:{destination[1]}" if destination else str(group)
    advice = _SEND_ADVICE.get(error.errno or 0, "ops.retry() sends again")
    return SendFailed(f"cannot send to {where}: {_reason(error)}; {advice}")


_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_UNPRIVILEGED: Final = 1024

_TRANSIENT: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "EINTR", "EMSGSIZE", "ENETDOWN", "ENETRESET", "ENETUNREACH"),
        *("ENOBUFS", "ENODEV", "ENOMEM", "WSAECONNRESET", "WSAEMSGSIZE", "WSAENETDOWN", "WSAENETRESET"),
    )
    if hasattr(errno, name)
)

_SLOW_LINK: Final = "the link is slower than the sender: pace the sends, or ops.retry() after a delay"

_SEND_ADVICE: Final[dict[int, str]] = {
    errno.EAGAIN: _SLOW_LINK,
    errno.EWOULDBLOCK: _SLOW_LINK,  # another number on Windows
    errno.ENOBUFS: "the system is out of send buffers: pace the sends, or send smaller payloads",
    errno.EPERM: "a firewall refused it: allow UDP to this group and port",
    errno.EACCES: "it is a broadcast address, which takes a channel that is opened with it as its group; or a route "
    "(prohibit) or a firewall refused it",
    errno.ENETUNREACH: "the interface is down or no route leads there: bring it up, or choose another interface",
    errno.ENETDOWN: "the interface is down: bring it up; it is used again at once",
    errno.EADDRNOTAVAIL: "the interface has no usable address yet; a new one takes a second or two: try again then",
    errno.ENODEV: "the interface is gone; it is used again as soon as it is back",
    errno.EHOSTUNREACH: "no host answers there, or a route (unreachable) says so (on macOS: allow Local Network access "
    "for this program)",
    errno.EMSGSIZE: "the interface carries no payload of this size: send smaller ones",
    errno.EINVAL: "this interface cannot reach that address, or a route (blackhole) drops it: choose another interface "
    "or look at the routes",
}


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or "out of memory"
