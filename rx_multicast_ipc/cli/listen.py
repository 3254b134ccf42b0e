"""``listen``: prints the messages of a group."""

from __future__ import annotations

import os
import threading
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import Final

import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import AsyncSubject

from ..blocking_run import run as run_to_end
from ..channel import Channel
from ..channel_options import ChannelOptions
from ..errors import InvalidOption
from ..group import Group
from ..message import Message
from ..strangers.decoding import whole_or_none
from ..strangers.printable_text import shown
from ..validation.numeric_address import Ip
from . import exit_codes
from .decode_argument import Decoder, add_decode
from .output import Output, Shown, is_terminal, reader_gone, tell
from .ping_protocol import answer_pings
from .reliable_argument import ReliableNotices, add_reliable, reliable_options
from .shared_arguments import (
    add_form,
    add_group,
    add_other_name,
    add_receive_buffer,
    add_verbose,
    examples,
    group_of,
    options_of,
    pattern,
    seconds,
    whole,
)
from .topic_arguments import TopicPattern
from .topic_arguments import pattern as pattern_of_topics

_LARGEST_PORT: Final = 65_535


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Print every message of a group, and every one that is sent to this process alone. Ends after --count "
        "messages or --timeout seconds, and when the reader of its output has had enough."
    )
    parser.epilog = examples(
        "rx-multicast-ipc listen  # until Ctrl-C",
        "rx-multicast-ipc listen --count 1 --timeout 5  # the next message, or exit code 1",
        "rx-multicast-ipc listen --contains join: --json | head -1",
        "rx-multicast-ipc listen --match '^(join|leave):' --from 127.0.0.1 --count 2",
        "rx-multicast-ipc listen --topic 'robot/*' --count 1",
        "rx-multicast-ipc listen --topic 'robot/*' --decode json --raw --count 1 > pose.json",
        "rx-multicast-ipc listen --raw --count 1 > payload.bin",
        "rx-multicast-ipc listen --reliable  # what reliable channels say, until Ctrl-C",
        "rx-multicast-ipc listen --respond  # answers pings, too, until Ctrl-C",
    )
    chosen = parser.add_argument_group("which messages; all of these must hold")
    chosen.add_argument(
        "--topic",
        type=pattern_of_topics,
        metavar="PATTERN",
        help='messages of these topics, with topic and payload apart: "*" is one level of a name, "**" the rest',
    )
    chosen.add_argument("--contains", metavar="TEXT", help="messages with this text in them")
    chosen.add_argument("--match", type=pattern, metavar="REGEX", help="messages that this regular expression finds")
    chosen.add_argument(
        "--from", dest="sender", type=_sender, metavar="ADDRESS[:PORT]", help="messages of this numeric address"
    )
    chosen.add_argument("--direct", action="store_true", help="messages to this process alone, not to the group")
    parser.add_argument("-c", "--count", type=whole, metavar="N", help="end after N messages")
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="end after this time, with exit code 1 if messages are missing",
    )
    add_other_name(parser, "--duration", "timeout", type=seconds)
    parser.add_argument("--respond", action="store_true", help="answer the ping command")
    add_decode(parser)
    add_verbose(parser)
    add_form(parser, raw=True)
    add_group(parser)
    add_reliable(parser)
    add_receive_buffer(parser)


def run(options: Namespace, output: Output) -> int:
    group = group_of(options)
    _check_sender(options, group)
    find = finder(options)
    count: int | None = options.count
    found = 0

    may_print = threading.Event()

    def print_wanted(batch: list[Message]) -> None:
        nonlocal found
        may_print.wait()
        wanted = [shown for message in batch if (shown := find(message)) is not None]
        if wanted := wanted[: None if count is None else count - found]:
            output.shown(wanted)
            found += len(wanted)

    settings: ChannelOptions = {
        "receive_buffer": options.receive_buffer,
        "backlog": 1,
        **reliable_options(options),
        **options_of(options),
    }
    with Channel(group, options=settings) as channel, ReliableNotices(channel, options):
        if options.respond:
            answer_pings(channel)
        timeout = rx.never() if options.timeout is None else rx.timer(options.timeout, scheduler=channel.scheduler)
        printed = channel.batches.pipe(
            ops.do_action(print_wanted),
            ops.take_while(lambda _: found != count),
            ops.take_until(rx.merge(reader_gone(), timeout)),
            ops.count(),
        )
        end: AsyncSubject[int] = AsyncSubject()
        with printed.subscribe(end):
            try:
                if options.verbose or is_terminal():
                    tell(f"listening to {channel.group}")
            finally:
                may_print.set()
            run_to_end(end)
    return exit_codes.OK if found and count in (None, found) else exit_codes.NOTHING


def _check_sender(options: Namespace, group: Group) -> None:
    """Raise ``InvalidOption`` for a sender that nothing can come from: on an engine, addresses are the engine's."""
    if options.sender is None or group.engine is not None:
        return
    ip = Ip.parse(options.sender[0])
    if ip is None or ip.is_multicast or ip.family != group.family:
        raise InvalidOption(
            f"--from takes the numeric {group.family} address of a sender, not {shown(options.sender[0])}; no name is "
            "looked up"
        )


def finder(options: Namespace) -> Callable[[Message], Shown | None]:
    """A function from a message to what is shown of it: None if the options do not choose it."""
    tests = _tests(options)
    topics = None if options.topic is None else TopicPattern(options.topic)
    decoder = Decoder.of(options)

    def find(message: Message) -> Shown | None:
        shown = Shown.of(message)
        if topics is not None:
            found = topics.find(message)
            if found is None:
                return None
            shown = Shown(message, found.payload, found.topic)
        if not all(test(message) for test in tests):
            return None
        return shown if decoder is None else decoder.with_value(shown)

    return find


def _tests(options: Namespace) -> list[Callable[[Message], object]]:
    tests: list[Callable[[Message], object]] = []
    if options.contains is not None:
        text = os.fsencode(options.contains)
        tests.append(lambda m: text in m.data)
    if options.match is not None:
        search = options.match.search
        tests.append(lambda m: search(m.text))
    if options.sender is not None:
        host, port = options.sender
        tests.append(lambda m: m.address == host and port in (None, m.port))
    if options.direct:
        tests.append(lambda m: m.direct)
    return tests


def _sender(text: str) -> tuple[str, int | None]:
    """The address of ``--from``, and its port, or None for any."""
    host, colon, port = text.rpartition(":") if "]:" in text or text.count(":") == 1 else (text, "", "")
    host = host.removeprefix("[").removesuffix("]")
    number = whole_or_none(port)
    if not host or (colon and (number is None or number > _LARGEST_PORT)):
        raise ArgumentTypeError(
            f"ADDRESS or ADDRESS:PORT, with an IPv6 address in brackets before a port, not {text!r}"
        )
    return host, number
