"""``spy``: watches a group, full screen. The screen is textual's, of the extra ``[cli]``, imported when it is run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ...channel import Channel
from ...channel_options import ChannelOptions
from ...errors import MissingExtra, Unsupported
from ...option_values.presence import Presence
from ..output import Output, is_terminal
from ..ping_protocol import answer_pings
from ..reliable_argument import add_reliable, reliable_options
from ..shared_arguments import add_group, add_receive_buffer, examples, group_of, options_of, pattern


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Watch a group, full screen: who sends, how much and what. Answers the ping command. Its keys are on the last "
        "line; F1 tells more."
    )
    parser.epilog = examples(
        "rx-multicast-ipc spy  # until Ctrl-C",
        "rx-multicast-ipc spy --port 61090 --filter '^join:'  # until Ctrl-C",
    )
    parser.add_argument("--filter", type=pattern, metavar="REGEX", help="begin with this filter")
    add_group(parser)
    add_reliable(parser)
    add_receive_buffer(parser)


def run(options: Namespace, output: Output) -> int:
    if not is_terminal():
        raise Unsupported("spy draws on a terminal, and this is none; use listen in scripts and pipes")
    try:
        from .app import SpyApp
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("textual", "rich"):
            raise
        raise MissingExtra("spy", "textual", "cli") from error
    chosen: ChannelOptions = {
        "receive_buffer": options.receive_buffer,
        "backlog": 1,
        "presence": Presence(None),  # hears names, and says nothing
        **options_of(options),
        **reliable_options(options),
    }
    with Channel(group_of(options), options=chosen) as channel:
        answer_pings(channel)
        return SpyApp(channel, options.filter.pattern if options.filter else "").run() or 0
