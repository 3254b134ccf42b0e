"""The options of a channel: the one list of them, their defaults and their checks."""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, TypedDict, TypeVar, get_type_hints

from .errors import InvalidOption, UnknownOption
from .group import Group, Interfaces
from .option_values.key import Key, check_keys, keys_of_environment
from .option_values.presence import Presence, check_presence
from .option_values.reliable import Reliable, check_reliable
from .validation.arguments import (
    check_backlog,
    check_flag,
    check_read_on,
    check_receive_buffer,
    check_send_from,
    check_spin,
    shown,
)
from .validation.topic_pattern import check_topics

_F = TypeVar("_F", bound=Callable[..., Any])


class Option(NamedTuple):
    """What goes without saying for an option, and what it may be.

    Attributes:
        default: its value if it is not given.
        check: returns a value that may be, and raises ``InvalidOption`` for another one. None where the group checks.
        unset: gives the value of one that is left at its default, where the environment says it. None elsewhere.
    """

    default: Any
    check: Callable[[str, Any], Any] | None = None
    unset: Callable[[], Any] | None = None


class ChannelOptions(TypedDict, total=False):
    """The keywords of everything that opens a channel.

    Attributes:
        interface: ``"loopback"``: this machine alone, no network needed, no packet leaves it. ``"default"``: the
            interface that the system's multicast route picks. ``"all"``: every network interface, those that come
            later too. Or an interface's name (``"eth0"``), or one of this machine's addresses (``"192.0.2.7"``).
            Or several of these: then a datagram that arrives over two is two messages, and each says which
            interface it came by. None: what the environment variable ``RX_MULTICAST_IPC_INTERFACE`` says
            (several between commas), or else loopback. Or an engine in the place of a network: ``"nats://host:4222"``,
            ``"zenoh://host:7447"``, or a :class:`Nats` or :class:`Zenoh` that says more.
        ttl: how many networks a datagram may enter; 1 on a network, 0 on loopback, if not given.
        sources: the only senders to be heard in the group, by their numeric addresses, 10 at most (RFC 4607); everybody
            if not given. Direct messages are not concerned.
        receive_buffer: bytes of kernel buffer to ask for, 4 MiB if not given; ``statistics`` says what was granted.
        backlog: messages kept for the next :meth:`Channel.wait_for_message`, 1024 if not given.
        echo: whether the channel hears what it sends to the group itself, from memory: in the order of its sends, once
            for each interface that took it, apart from the order of what others send. It does if not given.
        send_from: ``"own"``: a port that no other program has, so that a reply reaches this channel and no other; the
            default. ``"group"``: the group's port, for protocols whose members look at it, such as mDNS (5353), PTP
            and NTP. It is shared: what is sent to one machine there reaches one of the programs that have the port,
            most often the last to open it, so answer to the group. Nor can programs of one machine be told from each
            other by their address: ``echo=False`` and ``request`` leave out what any of them sends from that port.
        spin: ``"auto"``: where a subscriber sends, the I/O thread polls for an answer before it sleeps, for 0.1 ms, as
            long as answers come within that time. So round trips take a third of the time and less of the processor.
            The default. Or seconds that it polls after it read any message, 1 at most, such as 0.0003: that keeps a
            core busy, other Python threads of the process wait for the interpreter more often, and on a machine with
            too few cores it is slower. 0: it never polls. For UDP alone.
        read_on: ``"thread"``: one of the channel's own reads, delivers and runs timers; the default. ``"loop"``: the
            asyncio event loop that runs where this is called (or one that is given) does, without a hop between
            threads, so that round trips between coroutines are shorter. Subscribers are then called on the loop, and
            what it is too busy to read waits in the receive buffer alone. Where the loop cannot do it, as on Windows,
            or does not run any more, a thread does. See "asyncio and FastAPI" in the documentation.
        reliable: True, or a :class:`Reliable` with more: messages arrive in order, lost ones are repaired, they may be
            large, and senders wait for slow receivers; what cannot be repaired is reported as a :class:`Gap`. All
            channels that are to hear each other need it. Off if not given.
        key: a :class:`Key`, or several in a tuple of which the first seals and all open: programs without any of them
            can neither read nor write. False: none, whatever the environment says. Not given: the key in the file that
            the environment variable ``RX_MULTICAST_IPC_KEY`` names, or none. Needs ``cryptography``.
        presence: a name, or a :class:`Presence` with more: other channels with this option have this one in their
            ``members``, and it has them. Messages are not changed by it. Off if not given.
        topics: a pattern as for :meth:`Channel.topics`, such as ``"robot/*"``: of what is sent to the group, the
            channel hears what is published to topics that match, and nothing else. On an engine, the server sends it no
            more than that. Everything if not given. Latest values are not heard then, unless there is ``presence``.
    """

    interface: Annotated[Interfaces | None, Option(None)]
    ttl: Annotated[int | None, Option(None)]
    sources: Annotated[Iterable[str], Option(())]
    receive_buffer: Annotated[int, Option(4 << 20, check_receive_buffer)]
    backlog: Annotated[int, Option(1024, check_backlog)]
    echo: Annotated[bool, Option(True, check_flag)]
    send_from: Annotated[Literal["own", "group"], Option("own", check_send_from)]
    spin: Annotated[float | Literal["auto"], Option("auto", check_spin)]
    read_on: Annotated[Literal["thread", "loop"] | asyncio.AbstractEventLoop, Option("thread", check_read_on)]
    reliable: Annotated[bool | Reliable | None, Option(None, check_reliable)]
    key: Annotated[Key | Sequence[Key] | Literal[False] | None, Option(None, check_keys, keys_of_environment)]
    presence: Annotated[str | Presence | None, Option(None, check_presence)]
    topics: Annotated[str | None, Option(None, check_topics)]


_HINTS: Final = get_type_hints(ChannelOptions, include_extras=True)
_OPTIONS: Final[dict[str, Option]] = {name: hint.__metadata__[0] for name, hint in _HINTS.items()}


def complete(options: ChannelOptions) -> ChannelOptions:
    """``options``, each checked, with the defaults of those that were not given.

    Raises:
        UnknownOption: no option has that name.
        InvalidOption: a value out of its range or of the wrong type.
    """
    if not isinstance(options, Mapping):
        raise InvalidOption(f"options are names and values, such as reliable=True, not {shown(options)}")
    given: dict[str, Any] = dict(options)
    for name in given:
        if name not in _OPTIONS:
            from difflib import get_close_matches  # for a mistake alone

            close = get_close_matches(str(name), _OPTIONS, 1)
            raise UnknownOption(name, tuple(_OPTIONS), close[0] if close else "")
    completed: Any = {}
    for name, option in _OPTIONS.items():
        value = given.get(name, option.default)
        if value is option.default:
            completed[name] = value if option.unset is None else option.unset()
        else:
            completed[name] = value if option.check is None else option.check(name, value)
    if completed["spin"] not in ("auto", 0) and completed["read_on"] != "thread":
        raise InvalidOption('spin= has a thread of the channel\'s own poll: leave it out, or read_on="loop"')
    return completed


def group_of(port: int | None, group: str | None, options: ChannelOptions) -> Group:
    """The validated group that ``options`` say how to join. See :meth:`Group.of` for what it raises."""
    return Group.of(port, group, options.get("interface"), options.get("ttl"), options.get("sources", ()))


def takes_channel_options(function: _F) -> _F:
    """Let ``help()``, ``inspect.signature`` and completion show each option of a function that takes ``**options``.

    Its docstring has a line ``**options: ...``, below which their descriptions are put.
    """
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=_HINTS[name].__origin__
        )
        for name, option in _OPTIONS.items()
    ]
    function.__signature__ = signature.replace(parameters=[*own, *options])  # pyright: ignore[reportFunctionMemberAccess]
    if function.__doc__ and ChannelOptions.__doc__:  # neither is there under python -OO
        head, line, tail = function.__doc__.partition("**options: ")
        said, newline, tail = tail.partition("\n")
        indent = " " * (len(head) - len(head.rstrip(" ")) - 8)
        described = ChannelOptions.__doc__.partition("Attributes:\n")[2].rstrip()
        shown = "\n".join(indent + text if text else "" for text in described.split("\n"))
        function.__doc__ = f"{head}{line}{said}{newline}{shown}\n{tail}"
    return function
