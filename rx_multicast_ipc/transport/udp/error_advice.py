"""What the operating system says, as advice that a user can act on."""

from __future__ import annotations

import errno
from typing import Final

from ...errors import CannotOpen, MulticastError, NoRoute, PortInUse, SendFailed, Unsupported
from ...group import Group
from ...message import Address


def is_transient(error: OSError) -> bool:
    """Whether a failed read says something about a peer or a link, not about the socket."""
    return error.errno in _TRANSIENT


def is_exhausted(error: BaseException) -> bool:
    """Whether the system, or this process, is out of what a call needs, so that it told nothing."""
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


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
        *("ENOBUFS", "ENODEV", "ENOMEM", "WSAECONNRESET", "WSAEMSGSIZE", "WSAENETDOWN", "WSAENETRESET"),
    )
    if hasattr(errno, name)
)

_SEND_ADVICE: Final[dict[int, str]] = {
    errno.EAGAIN: "the link is slower than the sender: pace the sends, or ops.retry() after a delay",
    errno.ENOBUFS: "the system is out of send buffers: pace the sends, or send smaller payloads",
    errno.EPERM: "a firewall refused it: allow UDP to this group and port",
    errno.EACCES: "the address is a broadcast address or a firewall refused it: send to the group instead",
    errno.ENETUNREACH: "the interface is down or no route leads there: bring it up, or choose another interface",
    errno.ENETDOWN: "the interface is down: bring it up; it is used again at once",
    errno.EADDRNOTAVAIL: "the interface has no usable address yet; a new one takes a second or two: try again then",
    errno.ENODEV: "the interface is gone; it is used again as soon as it is back",
    errno.EHOSTUNREACH: "no host answers there (on macOS: allow Local Network access for this program)",
    errno.EMSGSIZE: "the interface carries no payload of this size: send smaller ones",
    errno.EINVAL: "this interface cannot reach that address: choose another interface",
}


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
