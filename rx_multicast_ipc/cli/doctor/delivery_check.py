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
from .check_context import Examination
from .finding import Finding, fault, ok
from .system_facts import Interface

_PATIENCE: Final = 1.0
"""Seconds that a message may take to come back from the same machine."""


def check_loopback(examination: Examination) -> Iterator[Finding]:
    """This machine alone: no packet leaves it."""
    loopback = next((interface for interface in examination.interfaces if interface.loopback), None)
    if loopback is not None and not loopback.up:
        yield fault(
            "loopback-down",
            loopback.name,
            f"the loopback interface {loopback.name} is down",
            "programs on this machine cannot talk to each other",
            f"sudo ip link set dev {loopback.name} up",
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
    probe = b'{"rx-multicast-ipc":"doctor","id":"%s"}' % uuid4().hex.encode()
    try:
        # Two, for a channel hears its own messages from memory, and not from the interface.
        with (
            Channel(group, options={**examination.options, "receive_buffer": examination.receive_buffer}) as channel,
            Channel(group, options={**examination.options, "backlog": 1}) as sender,
        ):
            members = examination.system.members(group.address)
            started = time.perf_counter()
            run(sender.broadcast(probe))
            run(channel.wait_for_message(lambda m: m.data == probe, timeout=_PATIENCE))
            took = (time.perf_counter() - started) * 1e3
    except PortInUse:
        return  # the check of the port tells who has it
    except MessageTimeout:
        yield fault(
            "not-heard",
            subject,
            f"a message to {group} was sent, and did not come back within {_PATIENCE:g} s",
            "most likely a firewall drops what comes in",
            *_allow(group, "INPUT", "input"),
        )
    except SendFailed as error:
        yield _refused(group, subject, error)
    except (CannotOpen, NoRoute) as error:
        yield fault("cannot-join", subject, str(error), "nothing can be heard there", *_join_advice(error, subject))
    else:
        yield ok("delivery", subject, f"a message to {group} came back after {took:.1f} ms")
        if members:
            table = ", ".join(f"{name} ({count})" for name, count in members.items())
            yield ok("members", subject, f"joined to {group.address}, sockets by interface: {table}")


def _refused(group: Group, subject: str, error: SendFailed) -> Finding:
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    if number in (errno.EPERM, errno.EACCES):
        means = "a firewall on this machine drops what goes out"
        return fault("firewall", subject, str(error), means, *_allow(group, "OUTPUT", "output"))
    if number == errno.EHOSTUNREACH:
        return fault(
            "local-network",
            subject,
            str(error),
            "on macOS: this program may not use the local network",
            "System Settings > Privacy & Security > Local Network: allow the terminal, or the program that starts this",
        )
    return fault("cannot-send", subject, str(error), "nothing can be sent there")


def _allow(group: Group, chain: str, hook: str) -> tuple[str, ...]:
    table, family = ("iptables", "ip") if group.family == "IPv4" else ("ip6tables", "ip6")
    return (
        f"sudo {table} -I {chain} -p udp -d {group.address} --dport {group.port} -j ACCEPT",
        f"sudo nft list ruleset  # look for a drop in a chain with 'hook {hook}', and put before it: "
        f"{family} daddr {group.address} udp dport {group.port} accept",
        f"sudo ufw allow proto udp to {group.address} port {group.port}",
    )


def _join_advice(error: MulticastError, subject: str) -> tuple[str, ...]:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.ENOBUFS:
        return ("sudo sysctl -w net.ipv4.igmp_max_memberships=100",)
    return (f"ip address show dev {subject}",) if subject != LOOPBACK else ()
