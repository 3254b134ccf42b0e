"""Whether each interface is fit for multicast, and where multicast goes that names none."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ...group import DEFAULT_INTERFACE
from . import fixes
from .check_context import Examination
from .finding import Finding, Severity, fault, note, ok, warning
from .system_facts import Interface


def check_interface(examination: Examination, interface: Interface) -> Iterator[Finding]:
    """Up, with a carrier, able to multicast, with an address: the first of these that is missing.

    An interface that was not named need not work, so there it is only noted.
    """
    if interface in examination.chosen:
        yield from _check(examination, interface)
        return
    for finding in _check(examination, interface):
        if finding.severity is Severity.FAULT:
            yield msgspec.structs.replace(finding, severity=Severity.NOTE)
        else:
            unused = f"{finding.seen}; nothing was sent there (--interface {interface.name} does)"
            yield msgspec.structs.replace(finding, seen=unused)


def _check(examination: Examination, interface: Interface) -> Iterator[Finding]:
    name, platform = interface.name, examination.platform
    family = "IPv6" if ":" in examination.address else "IPv4"
    if interface.up is False:
        yield fault(
            "interface-down",
            name,
            f"{name} is switched off" + (", or not connected" if interface.running is None else ""),
            "nothing is sent or heard there",
            *fixes.switch_on(platform, name),
        )
    elif interface.running is False:
        yield fault(
            "no-carrier",
            name,
            f"{name} is switched on and has no carrier",
            "no cable, no switch at its other end, or no wireless network",
            *fixes.connect(platform, name),
        )
    elif interface.multicast is False and not interface.loopback:
        yield fault(
            "no-multicast",
            name,
            f"{name} is not flagged MULTICAST",
            "the system takes it for unable to, and sends no multicast there",
            *fixes.let_multicast(platform, name),
        )
    elif interface.addresses is None:
        yield ok("interface", name, f"{name} is there; its state and addresses are not known here")
    elif not any((":" in address) == (family == "IPv6") for address in interface.addresses):
        yield fault(
            "no-address",
            name,
            f"{name} has no {family} address",
            "what is sent there has no sender, and no answer finds back",
            *fixes.give_address(platform, name, family),
        )
    else:
        yield ok("interface", name, f"{name} is up, can multicast, and has {', '.join(interface.addresses)}")


def check_route(examination: Examination) -> Iterator[Finding]:
    """Where multicast goes that names no interface."""
    platform, group, number = examination.platform, examination.address, examination.route
    if number == 0:
        yield ok("route", DEFAULT_INTERFACE, f"not known here: where {group} goes for programs that name no interface")
        return
    there = next((interface for interface in examination.interfaces if interface.number == number), None)
    names = [interface.name for interface in examination.chosen if not interface.loopback]
    example = next(iter(names), "NAME")
    if there is None:
        say = fault if examination.uses_default else warning if names else note
        yield say(
            "no-route",
            DEFAULT_INTERFACE,
            f"no route leads to {group}",
            'programs that name no interface (interface="default", the npm package) cannot join or send',
            *fixes.route(platform, example, group),
        )
    elif there.tunnel:
        say = warning if names or examination.uses_default else note
        yield say(
            "vpn-route",
            there.name,
            f"the route to {group} leads into {there.name}, which looks like a VPN",
            "multicast that names no interface goes to the VPN, which as a rule drops it, and not to the local network",
            *fixes.avoid_vpn(platform, group),
        )
    elif names and there.name not in names:
        yield note(
            "route-elsewhere",
            DEFAULT_INTERFACE,
            f"the route to {group} leads to {there.name}, not to {' or '.join(names)}",
            'programs that name no interface (interface="default", the npm package) are on another network',
            *fixes.route(platform, example, group),
        )
    else:
        yield ok("route", DEFAULT_INTERFACE, f"the route to {group} leads to {there.name}")


def check_ttl(examination: Examination) -> Iterator[Finding]:
    """Whether the TTL keeps datagrams on this machine, or contradicts the group's scope."""
    if not examination.chosen:
        return
    ttl = 1 if examination.ttl is None else examination.ttl
    if ttl == 0:
        yield fault(
            "ttl-0",
            "ttl",
            "the TTL is 0, which keeps datagrams on this machine",
            "no other machine hears anything",
            "--ttl 1, or leave --ttl out",
        )
    elif ttl == 1:
        yield ok("ttl", "ttl", "the TTL is 1: datagrams stay on the network of the interface, and pass no router")
    elif examination.address.startswith("224.0.0."):
        yield warning(
            "ttl-and-group",
            "ttl",
            f"the TTL is {ttl}, but {examination.address} is one of 224.0.0.0/24",
            "routers never forward these groups, whatever the TTL (RFC 5771)",
            "choose a group of 239.0.0.0/8 to pass routers",
        )
    else:
        yield ok("ttl", "ttl", f"the TTL is {ttl}: datagrams pass up to {ttl - 1} multicast routers")


def check_reverse_path(examination: Examination) -> Iterator[Finding]:
    """Whether reverse path filtering (``rp_filter``) drops senders on other networks."""
    networks = [interface for interface in examination.interfaces if interface.up and not interface.loopback]
    for interface in examination.chosen:
        if len(networks) > 1 and examination.system.strict_filter(interface.name):
            yield note(
                "strict-filter",
                interface.name,
                f"{interface.name} drops packets of senders that its own routes would not reach (rp_filter is 1)",
                "multicast of a sender on another network is dropped before any program sees it",
                f"sudo sysctl -w net.ipv4.conf.{interface.name}.rp_filter=2 net.ipv4.conf.all.rp_filter=2",
            )
