"""``members``: lists the members of a group."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any, Final

import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import AsyncSubject

from ..blocking_run import run as run_to_end
from ..channel import Channel
from ..channel_events import ChannelEvent, Joined, Left
from ..channel_options import ChannelOptions
from ..option_values.member import Member
from ..option_values.presence import Presence
from ..strangers.printable_text import printable_bytes
from . import exit_codes
from .output import Output, clock, host_port, is_terminal, payload_value, reader_gone, tell
from .shared_arguments import add_form, add_group, add_verbose, examples, group_of, interval, options_of

_LISTENS: Final = 3.0
"""Seconds: members announce themselves once a second, unless they were opened with another interval."""


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Listen for a while, and print the members of the group: the channels that were opened with presence=. It "
        "sends nothing itself. Exit code 1 if there are none."
    )
    parser.epilog = examples(
        "rx-multicast-ipc members",
        "rx-multicast-ipc members --timeout 2 --json | head -1",
        "rx-multicast-ipc members --follow  # who joins and who leaves, until Ctrl-C",
    )
    parser.add_argument(
        "-t",
        "--timeout",
        type=interval,
        metavar="SECONDS",
        help=f"how long to listen (default: {_LISTENS:g}; with --follow, until Ctrl-C)",
    )
    parser.add_argument("-f", "--follow", action="store_true", help="print who joins and who leaves, as it happens")
    add_verbose(parser)
    add_form(parser)
    add_group(parser)


def run(options: Namespace, output: Output) -> int:
    members: frozenset[Member] = frozenset()
    chosen: ChannelOptions = {"backlog": 1, "presence": Presence(None), **options_of(options)}

    def keep(now: frozenset[Member]) -> None:
        nonlocal members
        members = now

    def follow(event: ChannelEvent) -> None:
        if isinstance(event, Joined | Left):
            _print_event(event, output)

    with Channel(group_of(options), options=chosen) as channel:
        seconds = options.timeout or (None if options.follow else _LISTENS)
        timeout = rx.never() if seconds is None else rx.timer(seconds, scheduler=channel.scheduler)
        heard: list[rx.Observable[Any]] = [channel.members.pipe(ops.do_action(keep))]
        if options.follow:
            heard.append(channel.events.pipe(ops.do_action(follow)))
        end: AsyncSubject[Any] = AsyncSubject()
        over = rx.merge(reader_gone(), timeout)
        with rx.merge(*heard).pipe(ops.take_until(over), ops.count()).subscribe(end):
            if options.verbose or is_terminal():
                tell(f"listening to {channel.group}")
            run_to_end(end)
    if not options.follow:
        _print(sorted(members, key=lambda member: (member.name, member.sender)), output)
    return exit_codes.OK if members else exit_codes.NOTHING


def _print(members: list[Member], output: Output) -> None:
    if output.is_json:
        output.records({"event": "member", **_record(member)} for member in members)
    elif members:
        width = max(4, *(len(member.name) for member in members))
        senders = max(7, *(len(host_port(member.sender)) for member in members))
        output.lines([f"{'name':{width}}  {'address':{senders}}  about"])
        output.lines(
            f"{member.name:{width}}  {host_port(member.sender):{senders}}  {printable_bytes(member.about)}"
            for member in members
        )


def _print_event(event: Joined | Left, output: Output) -> None:
    left = isinstance(event, Left)
    if output.is_json:
        reason = {"reason": event.reason} if left else {}
        output.records([{"event": "left" if left else "joined", **_record(event.member), **reason, "at": event.at}])
    else:
        what = f"left: {event.reason}" if left else "joined"
        output.lines([f"{clock(event.at)}  {host_port(event.member.sender)}  {event.member.name}  {what}"])


def _record(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "address": member.address,
        "port": member.port,
        "about": payload_value(member.about),
    }
