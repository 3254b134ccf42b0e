"""Arguments that commands share."""

from __future__ import annotations

import math
import re
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
from typing import Any, Final

from ..channel_options import ChannelOptions, complete
from ..group import ALL_INTERFACES, DEFAULT_GROUP, DEFAULT_INTERFACE, DEFAULT_PORT, LOOPBACK, Group
from ..option_values.key import Key
from ..strangers.decoding import whole_or_none
from ..strangers.printable_text import shown
from ..transport import Hears, Transport
from ..transport.opening import as_options_say, open_live
from ..validation import environment

_LEAST: Final = 1e-9
_MOST: Final = 1e9
"""Of seconds, and a second: what timers can take."""

_SENDERS_BUFFER: Final = 65_536
"""Bytes of receive buffer of an end that only sends: those that it sends to may ask it something."""

_MOST_BYTES: Final = 2**31 - 1

_JSON_LINES: Final = (
    'a JSON object a line; bytes that are not UTF-8 as {"$bytes": "hex"} (the default in a pipe or file)'
)


def add_group(parser: ArgumentParser) -> None:
    """Add the arguments that name a group and its interfaces; see :func:`group_of`."""
    group = parser.add_argument_group("group")
    group.add_argument("-p", "--port", type=int, help=f"UDP port (default: {environment.PORT}, or {DEFAULT_PORT})")
    group.add_argument("-g", "--group", help=f"multicast address (default: {environment.GROUP}, or {DEFAULT_GROUP})")
    group.add_argument(
        "-i",
        "--interface",
        action="append",
        help=f'"{LOOPBACK}": this machine alone (the default); "{DEFAULT_INTERFACE}": where the system\'s multicast '
        f'route leads; "{ALL_INTERFACES}"; else a name or an address of an interface, or the URL of an engine such as '
        f'"nats://host:4222". May be given several times, or in the environment as {environment.INTERFACE}',
    )
    group.add_argument(
        "--ttl", type=int, help="networks that a datagram may enter, 0 to 255 (default: 0 on loopback, else 1)"
    )
    group.add_argument(
        "-k",
        "--key",
        action="append",
        metavar="FILE",
        help="the key of a sealed group. May be given several times: the first seals, all open. May be given in the "
        f'environment as {environment.KEY}, and "" is none, whatever that says',
    )


def add_receive_buffer(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--receive-buffer",
        type=size,
        default=complete({})["receive_buffer"],
        metavar="BYTES",
        help="kernel buffer to ask for (default: %(default)s)",
    )


def add_other_name(parser: ArgumentParser, name: str, dest: str, **settings: Any) -> None:
    """Another name of an argument, for those who know it from another command; ``--help`` does not list it."""
    parser.add_argument(name, dest=dest, default=SUPPRESS, help=SUPPRESS, **settings)


def add_verbose(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="say on standard error when it has begun to listen (on a terminal it does)",
    )


def add_form(parser: ArgumentParser, *, raw: bool = False, json: str = _JSON_LINES) -> None:
    """How to print: see :class:`.output.Output`. What ``--json`` means can be told otherwise."""
    group = parser.add_argument_group("output")
    forms = group.add_mutually_exclusive_group()
    forms.add_argument(
        "--json",
        dest="form",
        action="store_const",
        const="json",
        help=json,
    )
    forms.add_argument(
        "--human", dest="form", action="store_const", const="human", help="lines for people (the default on a terminal)"
    )
    if raw:
        forms.add_argument("--raw", dest="form", action="store_const", const="raw", help="payloads alone, one a line")


def group_of(options: Namespace) -> Group:
    """The group that ``add_group`` read, validated."""
    return Group.of(options.port, options.group, options.interface, options.ttl)


def options_of(options: Namespace) -> ChannelOptions:
    """What else ``add_group`` read: the options of the channel.

    Raises:
        InvalidKey, KeyUnreadable: as for :meth:`Key.from_file`.
    """
    files: list[str] | None = options.key
    if files is None:
        return {}
    keys = tuple(Key.from_file(file) for file in files if file)
    return {"key": keys or False}


def open_sender(options: Namespace, more: ChannelOptions | None = None) -> Transport:
    """An end that only sends, to the group that ``add_group`` read. It may take a moment to close."""
    complete_options = complete({"receive_buffer": _SENDERS_BUFFER, **options_of(options), **(more or {})})
    return as_options_say(open_live, complete_options)(group_of(options), complete_options, Hears.NOTHING)


def examples(*lines: str) -> str:
    """An epilog of command lines, each of which a test runs: ``command  # what it does``."""
    return "\n".join(["examples:", *(f"  $ {line}" for line in lines), ""])


def whole(text: str) -> int:
    """A whole number, 1 or more."""
    number = whole_or_none(text)
    if not number:
        raise ArgumentTypeError(f"a whole number, 1 or more, not {shown(text)}")
    return number


def natural(text: str) -> int:
    """A whole number, 0 or more."""
    number = whole_or_none(text)
    if number is None:
        raise ArgumentTypeError(f"a whole number, 0 or more, not {shown(text)}")
    return number


def size(text: str) -> int:
    """A number of bytes that the system calls can ask for."""
    number = whole_or_none(text)
    if not number or number > _MOST_BYTES:
        raise ArgumentTypeError(f"a number of bytes, 1 to {_MOST_BYTES}, not {shown(text)}")
    return number


def seconds(text: str) -> float:
    """A number of seconds, 0 or more."""
    return _number(text, "seconds, 0 or more", 0.0)


def interval(text: str) -> float:
    """A number of seconds, more than 0."""
    return _number(text, "seconds, more than 0", _LEAST)


def rate(text: str) -> float:
    """A number a second, more than 0."""
    return _number(text, "a number a second, more than 0", _LEAST)


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ArgumentTypeError(f"a regular expression, not {shown(text)}: {error}") from None


def destination(text: str) -> tuple[str, int]:
    """``host:port``, ``[IPv6]:port``, or ``:port`` of this machine."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    number = whole_or_none(port)
    if not colon or number is None:
        raise ArgumentTypeError(f"HOST:PORT, with an IPv6 address in brackets, not {shown(text)}")
    return host, number


def _number(text: str, what: str, least: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= _MOST:
        raise ArgumentTypeError(f"{what}, not {shown(text)}")
    return value
