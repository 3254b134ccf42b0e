"""Who else is bound to the port, whether it can be shared, and how large a receive buffer may be."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Final

from ...transport.udp import socket_options, socket_plans
from . import fixes
from .check_context import Examination
from .finding import Finding, fault, note, ok, warning
from .system_facts import Holder

_ANY: Final = ("0.0.0.0", "::")


def check_port(examination: Examination) -> Iterator[Finding]:
    """Whether the port can be shared, who has it, who gets unicast on it, and who has lost messages."""
    port = examination.port
    subject = f"port {port}"
    holders = examination.system.holders(port)
    if _is_held(examination, socket_plans.share_port()):
        yield _held(examination, holders or [])
        return
    if not holders:
        in_use = _is_held(examination)
        yield ok("port", subject, f"port {port} is in use, and shared" if in_use else f"nobody else uses port {port}")
        return
    yield ok("port", subject, f"port {port} is shared by {_names(holders)}")
    everywhere = [holder for holder in holders if holder.address in _ANY]
    if everywhere:
        yield note(
            "cross-talk",
            subject,
            f"{_names(everywhere)} is bound to every address on port {port}",
            "it hears this group as soon as anybody on this machine joins it, whatever group it wants (on Linux: "
            "unless it sets IP_MULTICAST_ALL to 0), and it gets what is sent to this machine's port",
        )
    if len(everywhere) > 1:
        yield note(
            "unicast-shared",
            subject,
            f"{len(everywhere)} sockets are bound to every address on port {port}",
            "what is sent to the port alone, not to a group, reaches one of them: the one that was opened last",
            "answer to the sender's own port, as reply() does",
        )
    yield from (_dropped(holder, subject) for holder in holders if holder.drops)


def _dropped(holder: Holder, subject: str) -> Finding:
    """What the kernel kept from a program: lost where the program is behind, else most likely its own messages."""
    name = _names([holder])
    if holder.waiting:
        return warning(
            "lost",
            subject,
            f"{name} has lost {holder.drops} messages, and has {holder.waiting} bytes still to read",
            "its receive buffer was full: it reads too slowly",
            "raise its receive buffer, do less in its subscribers, or send at a lower rate",
        )
    return note(
        "not-received",
        subject,
        f"the kernel kept {holder.drops} messages from {name}, which has read all others",
        "a channel's own messages, which come to it from memory, are counted here, too; if it sends none, its receive "
        "buffer was full at some time",
        "channel.statistics.dropped, in that program, counts what was lost, without its own messages",
    )


def check_receive_buffer(examination: Examination) -> Iterator[Finding]:
    """The system's limit, against what is asked for."""
    system, asked = examination.system, examination.receive_buffer
    limit = system.receive_buffer_limit()
    if limit is None and system.platform != "linux":
        limit = system.granted_receive_buffer(asked)
    if limit is None:
        return
    subject = fixes.BUFFER_LIMIT[system.platform]
    if limit < asked:
        exempt = "; this process is root's, and exempt" if system.platform == "linux" and _is_root() else ""
        yield warning(
            *("receive-buffer", subject),
            f"programs may have {limit} bytes of receive buffer, and {asked} are asked for{exempt}",
            "bursts that do not fit are dropped, and lost",
            *fixes.raise_buffer_limit(system.platform, asked),
        )
    else:
        yield ok("receive-buffer", subject, f"{asked} bytes of receive buffer are allowed, up to {limit}")


def _held(examination: Examination, holders: Sequence[Holder]) -> Finding:
    platform, port = examination.platform, examination.port
    if platform == "win32":
        seen = f"another program has port {port} for itself (SO_EXCLUSIVEADDRUSE), or Windows reserved it"
    elif platform == "linux" and not _is_held(examination, [socket_plans.Option("SOL_SOCKET", "SO_REUSEPORT", 1)]):
        seen = f"{_names(holders)} holds port {port}, and shares it with SO_REUSEPORT only"
    else:
        seen = f"{_names(holders)} holds port {port} alone (without SO_REUSEADDR)"
    means = "nothing else on this machine can hear a group on this port"
    return fault("port-held", f"port {port}", seen, means, *fixes.free_port(platform, port))


def _is_held(examination: Examination, options: Sequence[socket_plans.Option] = ()) -> bool:
    """Whether somebody keeps a socket with these options from the port. It hears nothing, and is closed at once."""
    is_ipv6 = ":" in examination.address
    with socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        socket_options.apply(probe, options)
        try:
            # As a channel's is, where a group may be bound to and belongs to no link.
            probe.bind(("" if is_ipv6 or os.name == "nt" else examination.address, examination.port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE or (os.name == "nt" and error.errno == errno.EACCES)
    return False


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _names(holders: Sequence[Holder]) -> str:
    names = dict.fromkeys(holder.program or f"a program of user {holder.user}" for holder in holders)
    return " and ".join(names) or "another program"
