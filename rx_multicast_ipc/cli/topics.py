"""``topics``: lists the topics of a group, with publishers, rates and sizes."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from typing import Final

import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import AsyncSubject

from ..blocking_run import run as run_to_end
from ..channel import Channel
from ..message import Address
from ..strangers.printable_text import printable
from ..topics.topic_message import TopicMessage
from . import exit_codes
from .output import Output, host_port, is_terminal, reader_gone, tell
from .shared_arguments import (
    add_form,
    add_group,
    add_receive_buffer,
    add_verbose,
    examples,
    group_of,
    interval,
    options_of,
)
from .topic_arguments import pattern

MOST_ROWS: Final = 1000
"""Topics times senders that are told apart: strangers may invent any number of them."""


class Heard:
    """What one sender published to one topic."""

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0

    def add(self, found: TopicMessage) -> None:
        self.messages += 1
        self.bytes += len(found.message.data)


class Census:
    """Counts by topic and sender; those beyond ``MOST_ROWS`` together."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Address], Heard] = {}
        self.others = Heard()

    def add(self, found: TopicMessage) -> None:
        key = found.topic, found.message.sender
        heard = self.rows.get(key)
        if heard is None:
            if len(self.rows) >= MOST_ROWS:
                heard = self.others
            else:
                heard = self.rows[key] = Heard()
        heard.add(found)


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Listen for a while, and print who published to which topics, how often, and how many bytes. Exit code 1 if "
        "nobody did. Ctrl-C ends it early, with what was heard so far."
    )
    parser.epilog = examples(
        "rx-multicast-ipc topics  # all, for three seconds",
        "rx-multicast-ipc topics 'robot/*' --timeout 10",
        "rx-multicast-ipc topics 'robot/**' --json | head -1",
    )
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        default="**",
        type=pattern,
        help='which: "*" is one level of a name, "**" the rest (default: "**", all)',
    )
    parser.add_argument(
        "-t", "--timeout", type=interval, default=3.0, metavar="SECONDS", help="how long to listen (default: 3)"
    )
    add_verbose(parser)
    add_form(parser)
    add_group(parser)
    add_receive_buffer(parser)


def run(options: Namespace, output: Output) -> int:
    census = Census()
    with Channel(
        group_of(options), options={"receive_buffer": options.receive_buffer, "backlog": 1, **options_of(options)}
    ) as channel:
        end: AsyncSubject[int] = AsyncSubject()
        over = rx.merge(reader_gone(), rx.timer(options.timeout, scheduler=channel.scheduler))
        heard = channel.topics(options.pattern).pipe(ops.do_action(census.add), ops.take_until(over), ops.count())
        started = time.monotonic()
        try:
            with heard.subscribe(end):
                if options.verbose or is_terminal():
                    tell(f"listening to {channel.group}")
                run_to_end(end)
        finally:  # Ctrl-C, too
            _print(census, max(time.monotonic() - started, 1e-3), output)
    return exit_codes.OK if census.rows else exit_codes.NOTHING


def _print(census: Census, seconds: float, output: Output) -> None:
    rows = sorted(census.rows.items())
    others = census.others.messages
    if output.is_json:
        output.records(
            {
                "event": "topic",
                "topic": topic,
                "address": address,
                "port": port,
                "messages": heard.messages,
                "messages_per_second": heard.messages / seconds,
                "bytes_per_second": heard.bytes / seconds,
            }
            for (topic, (address, port)), heard in rows
        )
        output.records([{"event": "end", "rows": len(rows), "seconds": seconds, "messages_beyond": others}])
        return
    shown = [(printable(topic), host_port(sender), heard) for (topic, sender), heard in rows]
    if shown:
        width = max(5, *(len(topic) for topic, _, _ in shown))
        senders = max(6, *(len(sender) for _, sender, _ in shown))
        output.lines([f"{'topic':{width}}  {'sender':{senders}}  {'messages':>8}  {'a second':>8}  {'bytes/s':>9}"])
        output.lines(
            f"{topic:{width}}  {sender:{senders}}  {heard.messages:8}  {heard.messages / seconds:8.1f}"
            f"  {heard.bytes / seconds:9.0f}"
            for topic, sender, heard in shown
        )
    if others:
        output.lines([f"and {others} messages of topics and senders beyond the first {MOST_ROWS}"])
