"""Whether each interface is fit for multicast, and where multicast goes that names none."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ...group import DEFAULT_INTERFACE
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
    name = interface.name
    family = "IPv6" if ":" in examination.address else "IPv4"
    if not interface.up:
        yield fault(
            "interface-down",
            name,
            f"{name} is switched off",
            "nothing is sent or heard there",
            f"sudo ip link set dev {name} up",
        )
    elif not interface.running:
        yield fault(
            "no-carrier",
            name,
            f"{name} is switched on and has no carrier",
            "no cable, no switch at its other end, or no wireless network",
            f"ip link show dev {name}  # says NO-CARRIER until the cable or the network is there",
        )
    elif not interface.multicast and not interface.loopback:
        yield fault(
            "no-multicast",
            name,
            f"{name} is not flagged MULTICAST",
            "the system takes it for unable to, and sends no multicast there",
            f"sudo ip link set dev {name} multicast on",
        )
    elif not any((":" in address) == (family == "IPv6") for address in interface.addresses):
        yield fault(
            "no-address",
            name,
            f"{name} has no {family} address",
            "what is sent there has no sender, and no answer finds back",
            f"sudo ip address add ADDRESS/24 dev {name}  # or have it ask: sudo dhclient {name}",
        )
    else:
        yield ok("interface", name, f"{name} is up, can multicast, and has {', '.join(interface.addresses)}")


def check_route(examination: Examination) -> Iterator[Finding]:
    """Where multicast goes that names no interface."""
    system, group = examination.system, examination.address
    if not system.tells_routes:
        return
    number = system.route_to(group)
    there = next((interface for interface in examination.interfaces if interface.number == number), None)
    names = [interface.name for interface in examination.chosen if not interface.loopback]
    example = next(iter(names), "eth0")
    if there is None:
        say = fault if examination.uses_default else warning if names else note
        yield say(
            "no-route",
            DEFAULT_INTERFACE,
            f"no route leads to {group}",
            'programs that name no interface (interface="default", the npm package) cannot join or send',
            f"sudo ip route add 224.0.0.0/4 dev {example}"
            if ":" not in group
            else f"sudo ip -6 route add ff00::/8 dev {example} table local",
        )
    elif there.tunnel:
        say = warning if names or examination.uses_default else note
        yield say(
            "vpn-route",
            there.name,
            f"the route to {group} leads into {there.name}, which looks like a VPN",
            "multicast that names no interface goes to the VPN, which as a rule drops it, and not to the local network",
            "name the local network's interface: --interface NAME, or RX_MULTICAST_IPC_INTERFACE=NAME",
            "sudo ip route add 224.0.0.0/4 dev NAME",
        )
    elif names and there.name not in names:
        yield note(
            "route-elsewhere",
            DEFAULT_INTERFACE,
            f"the route to {group} leads to {there.name}, not to {' or '.join(names)}",
            'programs that name no interface (interface="default", the npm package) are on another network',
            f"sudo ip route add 224.0.0.0/4 dev {example}",
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
