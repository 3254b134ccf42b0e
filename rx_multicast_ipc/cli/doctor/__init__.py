"""``doctor``: finds out why multicast does not work, and prints what fixes it.

Each check is a function of its own that looks at a :class:`.check_context.Examination` and yields
:class:`.finding.Finding` records; :func:`examine` runs them all.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

import reactivex as rx
from msgspec.structs import replace
from reactivex import operators as ops

from ...blocking_run import run as run_to_end
from ...channel import Channel
from ...channel_events import ChannelEvent, Rejected
from ...channel_options import ChannelOptions
from ...group import LOOPBACK, default_group, default_port
from .. import exit_codes
from ..output import Output, host_port, reader_gone, tell
from ..reliable_argument import add_reliable, reliable_options
from ..shared_arguments import add_form, add_group, add_receive_buffer, examples, interval, options_of, seconds
from .check_context import Examination
from .delivery_check import check_delivery, check_loopback
from .environment_checks import check_fast_path, check_surroundings
from .finding import Finding, Severity, note, warning
from .finding_printer import Printer
from .fixes import list_interfaces
from .interface_checks import check_interface, check_reverse_path, check_route, check_ttl
from .peer_exchange import Exchange, Silence
from .peer_findings import findings_of
from .port_checks import check_port, check_receive_buffer
from .reliable_findings import ReliableTraffic
from .system_facts import System

_REASONS: Final = 16
"""Reasons of rejections that are told apart."""

_LOOK = 0.1
"""Seconds between two looks at whether an exchange is over."""

_SILENCES = 1_000
"""Silences that are told of at the end, the latest."""


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Find out why multicast does not work, and print what fixes it. Without an interface it looks at everything "
        "and sends on loopback alone; with --interface or --all-interfaces it joins and sends there, too. Exit code 1 "
        "if something is at fault."
    )
    parser.epilog = examples(
        "rx-multicast-ipc doctor",
        "rx-multicast-ipc doctor --interface 127.0.0.1 --json",
        "rx-multicast-ipc doctor --peer --timeout 5  # at the same time on two machines, with --interface NAME",
        "rx-multicast-ipc doctor --watch 3 --interval 0.5  # better 300: switches drop groups after 260 s",
    )
    parser.add_argument("--all-interfaces", action="store_true", help="examine all network interfaces, and send there")
    others = parser.add_mutually_exclusive_group()
    others.add_argument(
        "--peer", action="store_true", help="find others who run this too, and tell what is lost in each direction"
    )
    others.add_argument(
        "--watch",
        type=seconds,
        metavar="SECONDS",
        help="ping the group so long, and tell when others who answer (doctor, listen --respond) fall silent",
    )
    parser.add_argument(
        "--interval",
        type=interval,
        metavar="SECONDS",
        help="between two pings (default: 0.1 with --peer, 2 with --watch)",
    )
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long --peer waits for another (default: 60)",
    )
    parser.add_argument(
        "--duration",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="how long --peer counts, once there is another (default: 5)",
    )
    add_form(parser)
    add_group(parser)
    add_reliable(parser)
    add_receive_buffer(parser)


def run(options: Namespace, output: Output) -> int:
    examination = Examination.of(
        System(),
        default_port() if options.port is None else options.port,
        default_group() if options.group is None else options.group,
        ttl=options.ttl,
        receive_buffer=options.receive_buffer,
        options=options_of(options),
        named=tuple(options.interface or ()),
        all_interfaces=options.all_interfaces,
    )
    printer = Printer(output)
    for finding in examine(examination):
        printer.show(finding)
    if options.peer or options.watch is not None:
        _meet(examination, options, printer)
    printer.end()
    return exit_codes.NOTHING if printer.worst is Severity.FAULT else exit_codes.OK


def examine(examination: Examination) -> Iterator[Finding]:
    """Everything that one machine can find out by itself."""
    yield from check_surroundings(examination)
    yield from check_fast_path(examination)
    yield from check_receive_buffer(examination)
    yield from check_port(examination)
    yield from check_loopback(examination)
    yield from check_route(examination)
    yield from check_ttl(examination)
    yield from check_reverse_path(examination)
    for interface in examination.interfaces:
        if interface.loopback and interface not in examination.chosen:
            continue
        findings = list(check_interface(examination, interface))
        yield from findings
        if interface in examination.chosen and all(finding.severity is Severity.OK for finding in findings):
            yield from check_delivery(examination, interface)


def _meet(examination: Examination, options: Namespace, printer: Printer) -> None:
    """Exchange pings with others on each interface, until the time is over or Ctrl-C."""
    between = options.interval or (0.1 if options.peer else 2.0)
    if all(interface.loopback for interface in examination.chosen):
        printer.show(_only_this_machine(examination))
    with ExitStack() as stack:
        met: list[tuple[str, Exchange, deque[Silence]]] = []
        traffic: list[tuple[str, ReliableTraffic]] = []
        refused: list[tuple[str, dict[str, Rejected]]] = []
        for name in [interface.name for interface in examination.chosen] or [LOOPBACK]:
            settings: ChannelOptions = {
                **examination.options,
                "backlog": 1,
                "echo": False,
                **reliable_options(options),
            }
            channel = stack.enter_context(Channel(examination.group(name), options=settings))
            rejected: dict[str, Rejected] = {}
            stack.enter_context(channel.events.subscribe(partial(_note_rejected, rejected)))
            refused.append((name, rejected))
            reliable = ReliableTraffic(channel, options.reliable)
            stack.enter_context(reliable.begin())
            traffic.append((name, reliable))
            silences: deque[Silence] = deque(maxlen=_SILENCES)
            exchange = Exchange(channel, between, None if options.peer else partial(_note, name, silences))
            stack.enter_context(exchange.begin())
            met.append((name, exchange, silences))
        exchanges = [exchange for _, exchange, _ in met]
        over = partial(_found, exchanges, options) if options.peer else partial(_lasted, exchanges, options.watch)
        looks = rx.interval(_LOOK).pipe(
            ops.take_while(lambda _: not over()), ops.take_until(reader_gone()), ops.count()
        )
        try:
            where = ", ".join(str(exchange.group) for exchange in exchanges)
            tell(f"pinging {where} every {between:g} s, and looking for others; Ctrl-C ends")
            run_to_end(looks)
        finally:  # Ctrl-C ends a watch, and what it found is told
            for name, exchange, silences in met:
                for finding in findings_of(exchange, silences, name):
                    printer.show(finding)
            for name, rejected in refused:
                for event in rejected.values():
                    printer.show(_of_rejected(event, name))
            for name, reliable in traffic:
                for finding in reliable.findings(name):
                    printer.show(finding)


def _only_this_machine(examination: Examination) -> Finding:
    names = list_interfaces(examination.platform)
    return note(
        "loopback-only",
        LOOPBACK,
        "peers are looked for on loopback, which ends at this machine",
        "no other machine can be found, whatever runs there",
        f"rx-multicast-ipc doctor --peer --interface NAME  # on both machines; for names: {names}",
    )


def _note_rejected(rejected: dict[str, Rejected], event: ChannelEvent) -> None:
    if isinstance(event, Rejected) and (event.reason in rejected or len(rejected) < _REASONS):
        before = rejected.get(event.reason)
        rejected[event.reason] = replace(event, count=event.count + (0 if before is None else before.count))


def _of_rejected(event: Rejected, interface: str) -> Finding:
    return warning(
        "rejected",
        interface,
        f"{event.count} datagrams, the last of {host_port(event.sender)}: {event.reason}",
        "members of a sealed group hear those with the same key, and nobody else",
        "rx-multicast-ipc doctor --peer --key FILE  # with the same key file on both machines",
    )


def _note(interface: str, silences: deque[Silence], silence: Silence) -> None:
    silences.append(silence)
    what = "is heard again" if silence.again else "fell silent"
    way = "to" if silence.outgoing else "from"
    tell(f"the group on {interface} {way} {silence.peer[0]} {what}, {silence.after:.1f} s after the start")


def _found(exchanges: list[Exchange], options: Namespace) -> bool:
    """Whether somebody was there for long enough, or nobody came."""
    elapsed = max(exchange.elapsed for exchange in exchanges)
    since = [exchange.elapsed - exchange.met_at for exchange in exchanges if exchange.met_at is not None]
    return max(since) >= options.duration if since else elapsed >= options.timeout


def _lasted(exchanges: list[Exchange], seconds: float) -> bool:
    return max(exchange.elapsed for exchange in exchanges) >= seconds
