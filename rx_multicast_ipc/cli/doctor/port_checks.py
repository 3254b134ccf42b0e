"""Who else is bound to the port, whether it can be shared, and how large a receive buffer may be."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Final

from .check_context import Examination
from .finding import Finding, fault, note, ok, warning
from .system_facts import Holder

_ANY: Final = ("0.0.0.0", "::")


def check_port(examination: Examination) -> Iterator[Finding]:
    """Whether the port can be shared, who has it, who gets unicast on it, and who has lost messages."""
    port = examination.port
    subject = f"port {port}"
    holders = examination.system.holders(port)
    if not _can_bind(examination, socket.SO_REUSEADDR):
        sharing = _can_bind(examination, getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR))
        yield fault(
            "port-held",
            subject,
            f"{_names(holders)} holds port {port}"
            + (", and shares it with SO_REUSEPORT only" if sharing else " alone (without SO_REUSEADDR)"),
            "nothing else on this machine can hear a group on this port",
            "stop that program, or have it set SO_REUSEADDR before it binds",
            "choose another port: --port NUMBER",
        )
        return
    if not holders:
        in_use = not _can_bind(examination)
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
    for holder in holders:
        if holder.drops:
            yield warning(
                "lost",
                subject,
                f"{_names([holder])} has lost {holder.drops} messages",
                "its receive buffer was full: it reads too slowly",
                "raise its receive buffer, do less in its subscribers, or send at a lower rate",
            )


def check_receive_buffer(examination: Examination) -> Iterator[Finding]:
    """The system's limit, against what is asked for."""
    limit, asked = examination.system.receive_buffer_limit(), examination.receive_buffer
    if limit is None:
        return
    if limit < asked:
        exempt = "; this process is root's, and exempt" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
        yield warning(
            "receive-buffer",
            "net.core.rmem_max",
            f"programs may have {limit} bytes of receive buffer, and {asked} are asked for{exempt}",
            "bursts that do not fit are dropped, and lost",
            f"sudo sysctl -w net.core.rmem_max={asked}",
            f"echo net.core.rmem_max={asked} | sudo tee /etc/sysctl.d/90-multicast.conf  # for good",
        )
    else:
        yield ok("receive-buffer", "net.core.rmem_max", f"{asked} bytes of receive buffer are allowed, up to {limit}")


def _can_bind(examination: Examination, *options: int) -> bool:
    """Whether a socket with these options can be bound to the port. It is closed at once."""
    is_ipv6 = ":" in examination.address
    with socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for option in options:
            probe.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            # As a channel's is, where a group may be bound to and belongs to no link.
            probe.bind(("" if is_ipv6 or os.name == "nt" else examination.address, examination.port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _names(holders: Sequence[Holder]) -> str:
    names = dict.fromkeys(holder.program or f"a program of user {holder.user}" for holder in holders)
    return " and ".join(names) or "another program"
