"""``ping``: asks every listener of a group, and measures the answers."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

import msgspec
import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import AsyncSubject

from ..blocking_run import run as run_to_end
from ..channel import Channel
from ..channel_options import ChannelOptions
from ..errors import PayloadTooLarge
from ..message import Message
from . import exit_codes
from .output import Output, host_port, is_terminal, reader_gone, tell
from .ping_figures import Answer, Figures, PeerFigures
from .ping_protocol import Ping, answer_pings, decode_pong, encode_ping
from .reliable_argument import ReliableNotices, add_reliable, reliable_options
from .shared_arguments import add_form, add_group, add_verbose, examples, group_of, interval, options_of, seconds, whole

_FIGURES: Final = ("min", "median", "p99", "max", "jitter")


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Ask every listener of a group for an answer, and print round-trip times, loss and duplicates of each. Who "
        "answers: listen --respond, spy, and ping --respond. Jitter is the mean absolute difference of successive "
        "round trips. Exit code 1 if nobody answered, or anything was lost."
    )
    parser.epilog = examples(
        "rx-multicast-ipc ping --respond  # answers others, until Ctrl-C",
        "rx-multicast-ipc ping --count 3 --interval 0.2",
        "rx-multicast-ipc ping --count 100 --interval 0.01 --size 1472 --quiet",
        "rx-multicast-ipc ping --count 2 --json | tail -1",
    )
    parser.add_argument("-c", "--count", type=whole, metavar="N", help="end after N pings (default: at Ctrl-C)")
    parser.add_argument(
        "--interval",
        type=interval,
        default=1.0,
        metavar="SECONDS",
        help="between two pings (default: 1); responders answer a host at most 100 times a second",
    )
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        default=1.0,
        metavar="SECONDS",
        help="how long an answer may take after the last ping (default: 1)",
    )
    parser.add_argument("--size", type=whole, default=1, metavar="BYTES", help="pad pings to this size")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the figures at the end alone")
    parser.add_argument("--respond", action="store_true", help="do not ask: answer others")
    add_verbose(parser)
    add_form(parser)
    add_group(parser)
    add_reliable(parser)


def run(options: Namespace, output: Output) -> int:
    settings: ChannelOptions = {"backlog": 1, "echo": False, **reliable_options(options), **options_of(options)}
    with Channel(group_of(options), options=settings) as channel, ReliableNotices(channel, options):
        limit = channel.transport.payload_limit
        if options.size > limit:
            raise PayloadTooLarge(options.size, limit)
        if options.respond:
            answer_pings(channel)
            end: AsyncSubject[Message] = AsyncSubject()
            with channel.messages.pipe(ops.ignore_elements(), ops.take_until(reader_gone())).subscribe(end):
                if options.verbose or is_terminal():
                    tell(f"listening to {channel.group}")
                run_to_end(end)
            return exit_codes.OK
        return _ask(channel, options, output)


def _ask(channel: Channel, options: Namespace, output: Output) -> int:
    figures = Figures()
    identity = uuid4().hex[:8]

    def send(_: int) -> None:
        sequence = figures.ping(time.perf_counter())
        ping = encode_ping(Ping(identity, sequence, time.time()), options.size)
        channel.broadcast(ping).subscribe(on_error=tell)  # and go on: a link may come back

    def hear(batch: list[Message]) -> None:
        now = time.perf_counter()
        answers: list[Answer] = []
        for message in batch:
            pong = decode_pong(message.data)
            if pong is not None and pong.id == identity:
                answer = figures.answer(message.sender, pong.sequence, now)
                if answer is not None:
                    answers.append(answer)
        if answers and not options.quiet:
            _print_answers(answers, output)

    # Both on the channel's own thread: one after the other, and with no wake-up of another thread in between.
    pings = rx.timer(0.0, options.interval, scheduler=channel.scheduler).pipe(
        ops.take_while(lambda number: options.count is None or number < options.count - 1, inclusive=True),
        ops.do_action(send),
        ops.ignore_elements(),
    )
    last = rx.timer(options.timeout, scheduler=channel.scheduler)
    heard = channel.batches.pipe(ops.do_action(hear), ops.ignore_elements())
    try:
        run_to_end(rx.merge(heard, reader_gone(), pings.pipe(ops.concat(last))).pipe(ops.take(1)))
    finally:  # Ctrl-C is how most runs end
        peers = figures.peers(time.perf_counter(), options.timeout)
        _print_figures(figures.sent, peers, channel, output)
        if figures.forgot_some:
            tell(f"too many peers answered to tell all apart; these are the {len(peers)} that did last")
    return exit_codes.OK if peers and not any(peer.lost for peer in peers) else exit_codes.NOTHING


def _print_answers(answers: Sequence[Answer], output: Output) -> None:
    if output.is_json:
        output.records({"event": "answer", **msgspec.structs.asdict(answer)} for answer in answers)
    else:
        output.lines(
            f"{host_port((answer.address, answer.port))}  ping {answer.sequence}  {answer.ms:.3f} ms"
            + ("  duplicate" if answer.duplicate else "")
            for answer in answers
        )


def _print_figures(sent: int, peers: Sequence[PeerFigures], channel: Channel, output: Output) -> None:
    if output.is_json:
        output.records({"event": "peer", **msgspec.to_builtins(peer)} for peer in peers)
        output.records([{"event": "end", "sent": sent, "peers": len(peers)}])
        return
    who = {0: "nobody answered", 1: "1 peer answered"}.get(len(peers), f"{len(peers)} peers answered")
    lines = ["", f"{sent} {'ping' if sent == 1 else 'pings'} to {channel.group}: {who}"]
    if peers:
        names = [host_port((peer.address, peer.port)) for peer in peers]
        width = max(map(len, names))
        head = "".join(f"{name:>9}" for name in _FIGURES)
        lines.append(f"{'':{width}}  {'sent':>6}  {'received':>8}  {'lost':>6}  {'duplicates':>10}{head}  (ms)")
        lines += [f"{name:{width}}{_figures(peer)}" for name, peer in zip(names, peers, strict=True)]
    output.lines(lines)


def _figures(peer: PeerFigures) -> str:
    times = "".join(f"{value:9.3f}" for value in msgspec.structs.astuple(peer.ms))
    lost = f"{peer.lost / peer.sent:.1%}" if peer.lost else "0"
    late = f"  from ping {peer.first} on" if peer.first > 1 else ""
    return f"  {peer.sent:6}  {peer.received:8}  {lost:>6}  {peer.duplicates:10}{times}{late}"
