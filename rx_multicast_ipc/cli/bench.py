"""``bench``: what a group carries between programs: rate, loss, and round trips."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import uuid4

import msgspec
import reactivex as rx
from reactivex import operators as ops

from ..blocking_run import run as run_to_end
from ..channel import Channel
from ..channel_options import ChannelOptions
from ..errors import InvalidOption, PayloadTooLarge
from ..message import Address, Message
from ..strangers.bounded_map import BoundedMap
from ..transport import Transport
from . import exit_codes
from .bench_figures import Sent, print_figures
from .bench_protocol import HEADER, MOST, Listener, Report, datagrams, decode_report, encode_question
from .output import Output, is_terminal, reader_gone, tell
from .ping_figures import Figures, PeerFigures
from .ping_protocol import Ping, answer_pings, decode_pong, encode_ping
from .progress_line import Status, amount, bar
from .shared_arguments import (
    add_form,
    add_group,
    add_receive_buffer,
    add_verbose,
    examples,
    group_of,
    interval,
    natural,
    options_of,
    rate,
    seconds,
    whole,
)

_CHUNK: Final = 256
"""Datagrams that are sent together."""

_PAUSE: Final = 0.001
"""Seconds between two looks at what is due."""

_PING_PAUSE: Final = 0.02
"""Seconds between two pings: half of what a responder answers to one host."""

_ASK_PAUSE: Final = 0.1
"""Seconds between two questions for reports."""

_LISTENERS: Final = 1_000
"""Listeners that are told apart."""


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Measure what the group carries: round trips first, then datagrams at a rate, and of every listener how many "
        "arrived. Start bench --listen on the other machines (or in other terminals) before. Exit code 1 if nobody "
        "listens, or anything was lost. It loads the network as much as it says: --rate times --size bytes a second."
    )
    parser.epilog = examples(
        "rx-multicast-ipc bench --listen  # on one machine, until Ctrl-C",
        "rx-multicast-ipc bench --listen --reliable  # for bench --reliable, until Ctrl-C",
        "rx-multicast-ipc bench --duration 0.2 || echo 'nobody listens, or something was lost'",
        "rx-multicast-ipc bench --rate 500 --size 64 --duration 0.2 --json | tail -1",
        "rx-multicast-ipc bench --topspeed --duration 0.2 || echo 'faster than they read'",
    )
    parser.add_argument("--listen", action="store_true", help="do not send: count what others send, and answer them")
    parser.add_argument(
        "-d", "--duration", type=interval, default=5.0, metavar="SECONDS", help="how long to send (default: 5)"
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--rate", type=rate, default=10_000.0, metavar="R", help="datagrams a second (default: 10000)")
    pace.add_argument("--topspeed", action="store_true", help="as fast as they can be sent; receivers may lose some")
    parser.add_argument(
        "--size", type=whole, default=1000, metavar="BYTES", help=f"of each datagram, {HEADER} or more (default: 1000)"
    )
    parser.add_argument(
        "--pings", type=natural, default=50, metavar="N", help="round trips to measure before (default: 50)"
    )
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        default=2.0,
        metavar="SECONDS",
        help="how long to wait for answers and reports (default: 2)",
    )
    parser.add_argument("--reliable", action="store_true", help="over reliable channels, at both ends")
    add_verbose(parser)
    add_form(parser)
    add_group(parser)
    add_receive_buffer(parser)


def run(options: Namespace, output: Output) -> int:
    if options.size < HEADER:
        raise InvalidOption(f"--size is {HEADER} bytes or more, not {options.size}: a run's id and numbers are in them")
    given: ChannelOptions = {
        "backlog": 1,
        "echo": False,
        "receive_buffer": options.receive_buffer,
        **options_of(options),
    }
    if options.reliable:
        given["reliable"] = True
    with Channel(group_of(options), options=given) as channel:
        if options.size > channel.transport.payload_limit:
            raise PayloadTooLarge(options.size, channel.transport.payload_limit)
        return _listen(channel, options, output) if options.listen else _Bench(channel, options).run(output)


def _listen(channel: Channel, options: Namespace, output: Output) -> int:
    def print_report(report: Report) -> None:
        if output.is_json:
            output.records([{"event": "run", **msgspec.structs.asdict(report)}])
        else:
            pace = report.received / report.seconds if report.seconds else 0.0
            arrived = f"run {report.id}: {amount(report.received, 'datagram')}, {pace:,.0f}/s"
            output.lines([f"{arrived}, {amount(report.bytes, 'byte')} in {report.seconds:.3f} s"])

    with answer_pings(channel), Listener(channel, print_report).listen():
        if options.verbose or is_terminal():
            tell(f"listening to {channel.group}")
        run_to_end(rx.merge(channel.messages.pipe(ops.ignore_elements()), reader_gone()))
    return exit_codes.OK


class _Bench:
    """One run, from the sender's side."""

    def __init__(self, channel: Channel, options: Namespace) -> None:
        self._channel = channel
        self._options = options
        self._run = os.urandom(8)
        self._identity = uuid4().hex[:8]
        self._pings = Figures()
        self._reports: BoundedMap[Address, Report] = BoundedMap(_LISTENERS)
        self._settled: BoundedMap[Address, bool] = BoundedMap(_LISTENERS)
        self._status = Status()

    def run(self, output: Output) -> int:
        with self._channel.batches.subscribe(self._hear):
            peers = self._round_trips()
            try:
                sent = self._send()
            finally:
                self._status.clear()
            self._ask_for_reports(len(peers))
        print_figures(self._channel.group, sent, self._reports, peers, output)
        complete = bool(self._reports) and all(report.received >= sent.count for report in self._reports.values())
        return exit_codes.OK if complete else exit_codes.NOTHING

    def _hear(self, batch: Sequence[Message]) -> None:
        now = time.perf_counter()
        for message in batch:
            pong = decode_pong(message.data)
            if pong is not None and pong.id == self._identity:
                self._pings.answer(message.sender, pong.sequence, now)
                continue
            report = decode_report(message.data)
            if report is not None and report.id == self._run.hex():
                self._settled.use(message.sender, lambda _: False)
                self._settled[message.sender] = self._reports.get(message.sender) == report
                self._reports.use(message.sender, lambda _, report=report: report)
                self._reports[message.sender] = report

    def _round_trips(self) -> list[PeerFigures]:
        count: int = self._options.pings
        for number in range(count):
            sequence = self._pings.ping(time.perf_counter())
            run_to_end(self._channel.broadcast(encode_ping(Ping(self._identity, sequence, time.time()))))
            self._status.show(f"{bar(number / count)} round trips")
            time.sleep(_PING_PAUSE)
        deadline = time.monotonic() + self._options.timeout
        while count and time.monotonic() < deadline:
            peers = self._pings.peers(time.perf_counter(), 0.0)
            if peers and not any(peer.lost for peer in peers):
                break
            time.sleep(_PING_PAUSE)
        return self._pings.peers(time.perf_counter(), 0.0)

    def _send(self) -> Sent:
        options, transport = self._options, self._channel.transport
        most = MOST if options.topspeed else min(MOST, max(1, round(options.duration * options.rate)))
        sent, started = 0, time.monotonic()
        for due in self._due(most, started):
            self._send_some(transport, sent, due - sent)
            sent = due
            if self._status.due:
                passed = time.monotonic() - started
                part = passed / options.duration if options.topspeed else sent / most
                self._status.show(f"{bar(part)} {amount(sent, 'datagram')}, {sent / max(passed, 1e-9):,.0f}/s")
        return Sent(sent, options.size, time.monotonic() - started)

    def _due(self, most: int, started: float) -> Iterator[int]:
        """How many are to have been sent, each time that it is time to send more."""
        options, due = self._options, 0
        while due < most:
            passed = time.monotonic() - started
            if options.topspeed:
                if passed >= options.duration:
                    return
                due = min(most, due + _CHUNK)
            else:
                if passed >= 2 * options.duration + 1:  # the rate is more than this machine can send
                    return
                wanted = min(most, int(passed * options.rate) + 1, due + _CHUNK)
                if wanted == due:
                    time.sleep(_PAUSE)
                    continue
                due = wanted
            yield due

    def _send_some(self, transport: Transport, first: int, count: int) -> None:
        transport.send_many(datagrams(self._run, first, count, self._options.size))

    def _ask_for_reports(self, expected: int) -> None:
        """Ask until as many as answered pings have told the same twice: by then nothing is under way any more."""
        deadline = time.monotonic() + self._options.timeout
        question = encode_question(self._run)
        while True:
            run_to_end(self._channel.broadcast(question))
            time.sleep(min(_ASK_PAUSE, max(0.0, deadline - time.monotonic())))
            settled = [*self._settled.values()]
            if time.monotonic() >= deadline or (settled and all(settled) and len(settled) >= expected):
                return
