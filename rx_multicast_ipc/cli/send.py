"""``send``: sends to a group, or to one address."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from typing import Final

from reactivex import operators as ops
from reactivex.subject import AsyncSubject

from ..blocking_run import run as run_to_end
from ..channel import Channel
from ..channel_options import ChannelOptions
from ..errors import InvalidOption, MessageTimeout
from ..group import check_port
from ..message import Address, Message
from ..option_values.engines import LARGEST_ON_ENGINES
from ..transport import Transport
from ..validation.payload import as_payload, check_json, json_to_msgpack
from . import exit_codes
from .closed_descriptors import check_open
from .output import Output, reader_gone, tell
from .reliable_argument import add_reliable, reliable_options
from .shared_arguments import (
    add_form,
    add_group,
    destination,
    examples,
    group_of,
    natural,
    open_sender,
    options_of,
    rate,
    seconds,
    whole,
)
from .topic_arguments import name as topic_name

_MOST_LATE = 0.01
"""Seconds of being late that pacing catches up with; what is beyond is not made up for."""

_MOST_READ: Final = LARGEST_ON_ENGINES + 2
"""Bytes of a line or a file that are read: more than any channel carries, so that it is refused, and is not endless."""


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Send each DATA as one datagram; without any, every line of standard input (without its newline), as it comes. "
        "Prints nothing, unless it waits for answers. Exit code 1 if nobody answered, or, with --reliable, if somebody "
        "did not acknowledge, which is logged."
    )
    parser.epilog = examples(
        "rx-multicast-ipc send join:Ann",
        "printf 'a\\nb\\n' | rx-multicast-ipc send  # two datagrams",
        "rx-multicast-ipc send --file /etc/hostname",
        "rx-multicast-ipc send --to 127.0.0.1:61088 'for you alone'",
        """rx-multicast-ipc send --topic robot/pose --json '{"x": 1.5}'""",
        """rx-multicast-ipc send --encode msgpack '{"x": 1.5}'""",
        "rx-multicast-ipc send tick --repeat 3 --rate 10",
        "rx-multicast-ipc send join:Ann --reply --timeout 2  # prints the first answer, or exit code 1",
    )
    parser.add_argument("data", metavar="DATA", nargs="*", help="a payload, as text")
    parser.add_argument("-f", "--file", metavar="PATH", help='send what is in this file instead ("-": standard input)')
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--whole", action="store_true", help="one datagram with all of it (the default for a file)")
    parts.add_argument("--lines", action="store_true", help="a datagram a line (the default for standard input)")
    parser.add_argument("--topic", type=topic_name, metavar="NAME", help="publish each to this topic")
    parser.add_argument("--to", type=destination, metavar="HOST:PORT", help="send to one address, not to the group")
    parser.add_argument("--repeat", type=natural, default=1, metavar="N", help="send it all N times; 0: for ever")
    parser.add_argument("--rate", type=rate, metavar="R", help="pace: R datagrams a second at most")
    answers = parser.add_argument_group("answers")
    answers.add_argument(
        "--reply", action="store_true", help="wait for what is sent back to this process alone, and print it"
    )
    answers.add_argument("-c", "--count", type=whole, default=1, metavar="N", help="end after N answers (default: 1)")
    answers.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="wait this long after the last datagram (default: 5)",
    )
    add_encode(parser)
    add_form(parser, raw=True, json="DATA is JSON, which is checked before it is sent; and answers are printed as JSON")
    add_group(parser)
    add_reliable(parser)


def run(options: Namespace, output: Output) -> int:
    if options.data and (options.file is not None or options.whole or options.lines):
        raise InvalidOption("DATA is sent as it is: leave out --file, --whole and --lines, or leave out DATA")
    encode = encoder_of(options)
    prefix = b"" if options.topic is None else options.topic.encode() + b"\0"
    payloads = paced(
        repeated(lambda: (prefix + encode(payload) for payload in read_payloads(options)), options.repeat), options.rate
    )
    group = group_of(options)
    if options.reply:
        settings: ChannelOptions = {"backlog": 1, "echo": False, **reliable_options(options), **options_of(options)}
        with Channel(group, options=settings) as channel:
            return _send_and_wait(channel, payloads, options, output)
    transport = open_sender(options, reliable_options(options))
    try:
        _send_all(transport, payloads, options.to)
    finally:
        transport.close()
    return exit_codes.NOTHING if transport.statistics.unacknowledged else exit_codes.OK


def _send_and_wait(channel: Channel, payloads: Iterable[bytes], options: Namespace, output: Output) -> int:
    count: int = options.count
    answered = 0

    def print_answer(message: Message) -> None:
        nonlocal answered
        output.messages([message])
        answered += 1

    end: AsyncSubject[Message] = AsyncSubject()
    answers = channel.messages.pipe(
        ops.filter(lambda m: m.direct), ops.do_action(print_answer), ops.take(count), ops.take_until(reader_gone())
    )
    with answers.subscribe(end):
        _send_all(channel.transport, payloads, options.to)
        try:
            run_to_end(end, timeout=options.timeout)
        except MessageTimeout:
            got = f"{answered} of {count} answers" if answered else "no answer"
            tell(f"{got} within {options.timeout:g} s")
            return exit_codes.NOTHING
    return exit_codes.OK


def _send_all(transport: Transport, payloads: Iterable[bytes], to: Address | None) -> None:
    if to is not None:
        to = _resolve(transport, *to)
    for payload in payloads:
        transport.send(as_payload(payload, transport.payload_limit), to)


def _resolve(transport: Transport, host: str, port: int) -> Address:
    """The numeric address of a host, looked up once; an empty host is this machine."""
    check_port(port)
    return transport.check_destination(host) or transport.look_up(host), port


def add_encode(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--encode",
        choices=("json", "msgpack"),
        help="DATA is JSON, which is checked, and sent as it is or as MessagePack",
    )


def encoder_of(options: Namespace) -> Callable[[bytes], bytes]:
    """The function that encodes each DATA before it is sent."""
    if options.encode == "msgpack":
        return json_to_msgpack
    return check_json if options.encode or options.form == "json" else bytes


def read_payloads(options: Namespace) -> Iterator[bytes]:
    """What to send, as it comes."""
    if options.data:
        yield from map(os.fsencode, options.data)
        return
    piped = options.file in (None, "-")
    if piped:
        check_open("input")
    with open(0, "rb", closefd=False) if piped else open(options.file, "rb") as source:
        if options.lines or (piped and not options.whole):
            if source.isatty():
                tell("each line is a datagram; Ctrl-D ends")
            while line := source.readline(_MOST_READ):
                yield line.removesuffix(b"\n")
        else:
            yield source.read(_MOST_READ)


def repeated(read: Callable[[], Iterable[bytes]], times: int) -> Iterable[bytes]:
    """What ``read`` gives, so many times over; 0 is for ever. It is read once, and kept only if it is needed again."""
    if times == 1:
        return read()
    payloads = list(read())
    if not payloads:
        return payloads
    return chain.from_iterable(repeat(payloads, times) if times else repeat(payloads))


def paced(payloads: Iterable[bytes], rate: float | None) -> Iterator[bytes]:
    """``payloads``, so many a second at most.

    On the calling thread, unlike the pace of ``broadcast_all``: standard input may be waited for.
    """
    due = time.monotonic()
    for payload in payloads:
        if rate is not None:
            now = time.monotonic()
            if due > now:
                time.sleep(due - now)
            due = max(due, now - _MOST_LATE) + 1 / rate
        yield payload
