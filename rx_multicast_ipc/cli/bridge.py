"""``bridge``: joins two segments, or a segment and an engine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import msgspec
import reactivex as rx
from reactivex import operators as ops

from ..blocking_run import run as run_to_end
from ..bridging import Bridge, BridgeRole, bridge
from ..group import DEFAULT_GROUP, DEFAULT_PORT, Group
from ..validation import environment
from . import exit_codes
from .output import Output, reader_gone
from .shared_arguments import add_form, add_other_name, examples, seconds, whole


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Join two segments, so that who is on one hears who is on the other, and can answer. Start as many as you like "
        "between the same two: one carries, and the others take over within a second if it ends. Tells what it does "
        "each time that changes, and at the end what it carried."
    )
    parser.epilog = examples(
        "rx-multicast-ipc bridge loopback eth0  # until Ctrl-C",
        "rx-multicast-ipc bridge loopback eth0 --port 61090 --wide-port 61091 --duration 2",
        "rx-multicast-ipc bridge loopback eth0 --wide-group 239.1.2.3 --duration 2 --human",
    )
    parser.add_argument("local", metavar="LOCAL", help="one segment: an interface, or an engine's URL")
    parser.add_argument("wide", metavar="WIDE", help="the other one")
    parser.add_argument("-d", "--duration", type=seconds, metavar="SECONDS", help="end after this time")
    add_other_name(parser, "--timeout", "duration", type=seconds)
    group = parser.add_argument_group("group")
    group.add_argument("-p", "--port", type=int, help=f"UDP port (default: {environment.PORT}, or {DEFAULT_PORT})")
    group.add_argument("-g", "--group", help=f"multicast address (default: {environment.GROUP}, or {DEFAULT_GROUP})")
    group.add_argument("--wide-port", type=int, metavar="PORT", help="on the wide side, if it is another one")
    group.add_argument("--wide-group", metavar="GROUP", help="on the wide side, if it is another one")
    group.add_argument("--ttl", type=int, help="networks that a datagram may enter on the wide side (default: 1)")
    parser.add_argument(
        "--ends",
        type=whole,
        default=100,
        metavar="N",
        help="senders of each side that can be answered at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--takeover",
        type=seconds,
        default=0.8,
        metavar="SECONDS",
        help="within which another one takes over, the same for all that may meet; more where machines are busy "
        "(default: %(default)s)",
    )
    add_form(parser)


def run(options: Namespace, output: Output) -> int:
    local = Group.of(options.port, options.group, options.local)
    wide = Group.of(
        local.port if options.wide_port is None else options.wide_port,
        local.address if options.wide_group is None else options.wide_group,
        options.wide,
        options.ttl,
    )
    joined = bridge(local, wide, ends=options.ends, takeover=options.takeover)
    try:
        with joined:
            ends = [joined.roles.pipe(ops.do_action(lambda role: _tell(output, joined, role))), reader_gone()]
            if options.duration is not None:
                ends.append(rx.timer(options.duration).pipe(ops.map(_nothing)))
            run_to_end(
                rx.merge(*ends).pipe(ops.filter(lambda what: what is None), ops.take(1), ops.default_if_empty(None))
            )
    finally:
        _tell_end(output, joined)  # only what is closed has counted all
    return exit_codes.OK


def _tell(output: Output, joined: Bridge, role: BridgeRole) -> None:
    missed = joined.statistics.missed
    if output.is_json:
        output.records([{"event": "role", "role": role, "missed": missed}])
    else:
        output.lines([f"{role}, missed {missed:,} until now" if missed else f"{role}"])


def _tell_end(output: Output, joined: Bridge) -> None:
    counted = msgspec.structs.asdict(joined.statistics)
    if output.is_json:
        output.records([{"event": "end", **counted}])
    else:
        output.lines([", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counted.items())])


def _nothing(_: object) -> None:
    return None
