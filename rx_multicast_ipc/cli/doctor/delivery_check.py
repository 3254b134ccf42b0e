"""Whether a message arrives where it was sent from: on loopback, and on each interface that was named."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

from ...blocking_run import run
from ...channel import Channel
from ...errors import CannotOpen, MessageTimeout, MulticastError, NoRoute, PortInUse, SendFailed
from ...group import LOOPBACK, Group
from . import firewalls, fixes
from .check_context import Examination
from .finding import Finding, fault, ok
from .fixes import Fixes
from .system_facts import Interface

_PATIENCE: Final = 1.0
"""Seconds that a message may take to come back from the same machine."""


def check_loopback(examination: Examination) -> Iterator[Finding]:
    """This machine alone: no packet leaves it."""
    loopback = next((interface for interface in examination.interfaces if interface.loopback), None)
    if loopback is not None and loopback.up is False:
        yield fault(
            "loopback-down",
            loopback.name,
            f"the loopback interface {loopback.name} is down",
            "programs on this machine cannot talk to each other",
            *fixes.switch_on(examination.platform, loopback.name),
        )
        return
    if ":" in examination.address:
        yield ok("loopback", LOOPBACK, "not tried: host-only multicast needs an IPv4 group")
        return
    yield from _deliver(Group.of(examination.port, examination.address, LOOPBACK), LOOPBACK, examination)


def check_delivery(examination: Examination, interface: Interface) -> Iterator[Finding]:
    """Join on an interface, send there, and hear it."""
    yield from _deliver(examination.group(interface.name), interface.name, examination)


def _deliver(group: Group, subject: str, examination: Examination) -> Iterator[Finding]:
    try:
        took, members = send_and_hear(group, examination)
    except PortInUse:
        return  # the check of the port tells who has it
    except MessageTimeout:
        yield fault(
            "not-heard",
            subject,
            f"a message to {group} was sent, and did not come back within {_PATIENCE:g} s",
            "most likely a firewall drops what comes in",
            *firewalls.let_in(examination.platform, group),
        )
    except SendFailed as error:
        yield _refused(examination, group, subject, error)
    except (CannotOpen, NoRoute) as error:
        yield fault(
            "cannot-join", subject, str(error), "nothing can be heard there", *_advice(examination, error, subject)
        )
    else:
        yield ok("delivery", subject, f"a message to {group} came back after {took * 1e3:.1f} ms")
        if members:
            table = ", ".join(f"{name} ({count})" for name, count in members.items())
            yield ok("members", subject, f"joined to {group.address}, sockets by interface: {table}")


def send_and_hear(group: Group, examination: Examination) -> tuple[float, dict[str, int]]:
    """How many seconds a message took to come back, and how many sockets were in the group then, by interface.

    Raises:
        MulticastError: what kept it from coming back; MessageTimeout: nothing did that tells of itself.
    """
    probe = b'{"rx-multicast-ipc":"doctor","id":"%s"}' % uuid4().hex.encode()
    # Two, for a channel hears its own messages from memory, and not from the interface.
    with (
        Channel(group, options={**examination.options, "receive_buffer": examination.receive_buffer}) as channel,
        Channel(group, options={**examination.options, "backlog": 1}) as sender,
    ):
        members = examination.system.members(group.address)
        started = time.perf_counter()
        run(sender.broadcast(probe))
        run(channel.wait_for_message(lambda m: m.data == probe, timeout=_PATIENCE))
        return time.perf_counter() - started, members


def _refused(examination: Examination, group: Group, subject: str, error: SendFailed) -> Finding:
    if firewalls.drops_what_goes_out(error):
        means = "a firewall on this machine drops what goes out"
        return fault("firewall", subject, str(error), means, *firewalls.let_out(examination.platform, group))
    cause = error.__cause__
    unreachable = isinstance(cause, OSError) and cause.errno == errno.EHOSTUNREACH
    if unreachable and examination.platform == "darwin":
        return fault(
            "local-network",
            subject,
            str(error),
            "this program may not use the local network",
            "System Settings > Privacy & Security > Local Network: allow the terminal, or the program that starts this",
        )
    show = fixes.show_interface(examination.platform, subject) if subject != LOOPBACK else ()
    return fault("cannot-send", subject, str(error), "nothing can be sent there", *show)


def _advice(examination: Examination, error: MulticastError, subject: str) -> Fixes:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.ENOBUFS:
        return fixes.more_memberships(examination.platform)
    return fixes.show_interface(examination.platform, subject) if subject != LOOPBACK else ()
