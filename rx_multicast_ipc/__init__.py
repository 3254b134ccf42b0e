"""Processes on one machine, or on several, talk through a UDP multicast group, as Observables.

Listen, and say something that everybody hears:

    import rx_multicast_ipc as ipc
    from reactivex import operators as ops

    joins = ipc.messages().pipe(ops.filter(lambda m: m.text.startswith("join:")))
    joins.subscribe(lambda m: print(m.text, "from", m.address, m.port))
    ipc.run(ipc.broadcast("join:Ann"))

Nothing leaves this machine until an interface is named: ``interface="default"``, ``"eth0"``.

What to start from:

    open_channel(port, group, ...)   a Channel: messages, broadcast, send, reply, request, wait_for_message, topic
    messages, broadcast, send        the same without a channel in hand
    run(observable)                  subscribe, wait, and return the last value; or ``await`` it on asyncio
    to_async_iterable(observable)    ``async for``; a channel's hot streams need no such call
    operators                        decode, encode, map_async, on_backpressure_buffer, retry_with_backoff, ...
    testing, capture, notebook       virtual networks and marbles; pcap files; live views in Jupyter
    MulticastError                   the base of every error, each of which says what to do next

Guides are in README.md and docs/; ``rx-multicast-ipc doctor`` finds out why multicast does not work on a machine.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .blocking_run import run
from .channel import Channel
from .channel_events import ChannelEvent, Forbidden, Gap, Joined, Left, NetworkChange, NetworkEvent, Rejected
from .channel_opening import open_channel, with_socket
from .channel_options import ChannelOptions
from .channel_statistics import Statistics
from .errors import (
    BufferOverflow,
    CannotOpen,
    CaptureCorrupt,
    CaptureFailed,
    ChannelClosed,
    DecodeFailed,
    InvalidAddress,
    InvalidArgument,
    InvalidGroup,
    InvalidInterface,
    InvalidKey,
    InvalidOption,
    InvalidPayload,
    InvalidPort,
    InvalidTopic,
    InvalidTTL,
    KeyUnreadable,
    MessagesMissing,
    MessageTimeout,
    MissingExtra,
    MulticastError,
    NeverSubscribedWarning,
    NoRoute,
    NotAuthorized,
    NotIterable,
    PayloadTooLarge,
    PortInUse,
    SendFailed,
    UnknownOption,
    Unsupported,
    WouldDeadlock,
)
from .group import DEFAULT_GROUP, DEFAULT_PORT, Group
from .message import Message, Received
from .option_values.engines import Nats, Zenoh
from .option_values.key import Key
from .option_values.member import Member
from .option_values.presence import Presence
from .option_values.reliable import Acknowledged, Reliable
from .receiving.async_iteration import to_async_iterable
from .receiving.overflow import Overflow
from .repeat_loops import repeat_for, repeat_while
from .shared_channels import broadcast, messages, send
from .strangers import safe_log
from .subscribing.subscriber_errors import set_unhandled_error_hook
from .topics.topic_message import TopicMessage

if TYPE_CHECKING:
    from . import capture, notebook, operators, testing
    from .bridging import Bridge, BridgeRole, BridgeStatistics, bridge
    from .group_state.latest.value import LatestValue
    from .topics.topic import Topic

    __version__: str

__all__ = [
    "DEFAULT_GROUP",
    "DEFAULT_PORT",
    "Acknowledged",
    "Bridge",
    "BridgeRole",
    "BridgeStatistics",
    "BufferOverflow",
    "CannotOpen",
    "CaptureCorrupt",
    "CaptureFailed",
    "Channel",
    "ChannelClosed",
    "ChannelEvent",
    "ChannelOptions",
    "DecodeFailed",
    "Forbidden",
    "Gap",
    "Group",
    "InvalidAddress",
    "InvalidArgument",
    "InvalidGroup",
    "InvalidInterface",
    "InvalidKey",
    "InvalidOption",
    "InvalidPayload",
    "InvalidPort",
    "InvalidTTL",
    "InvalidTopic",
    "Joined",
    "Key",
    "KeyUnreadable",
    "LatestValue",
    "Left",
    "Member",
    "Message",
    "MessageTimeout",
    "MessagesMissing",
    "MissingExtra",
    "MulticastError",
    "Nats",
    "NetworkChange",
    "NetworkEvent",
    "NeverSubscribedWarning",
    "NoRoute",
    "NotAuthorized",
    "NotIterable",
    "Overflow",
    "PayloadTooLarge",
    "PortInUse",
    "Presence",
    "Received",
    "Rejected",
    "Reliable",
    "SendFailed",
    "Statistics",
    "Topic",
    "TopicMessage",
    "UnknownOption",
    "Unsupported",
    "WouldDeadlock",
    "Zenoh",
    "__version__",
    "bridge",
    "broadcast",
    "capture",
    "messages",
    "notebook",
    "open_channel",
    "operators",
    "repeat_for",
    "repeat_while",
    "run",
    "send",
    "set_unhandled_error_hook",
    "testing",
    "to_async_iterable",
    "with_socket",
]

safe_log.install()

_ROOMS_LOADED_WHEN_TOUCHED = ("capture", "notebook", "operators", "testing")

_LOADED_WHEN_TOUCHED = {
    "LatestValue": ".group_state.latest.value",
    "Topic": ".topics.topic",
    **dict.fromkeys(("Bridge", "BridgeRole", "BridgeStatistics", "bridge"), ".bridging"),
}
"""Names, and the modules that they are in."""


def __getattr__(name: str) -> object:
    if name in _ROOMS_LOADED_WHEN_TOUCHED:
        return import_module(f"{__name__}.{name}")
    if name in _LOADED_WHEN_TOUCHED:
        value = globals()[name] = getattr(import_module(_LOADED_WHEN_TOUCHED[name], __name__), name)
        return value
    if name == "__version__":
        from importlib.metadata import version

        return version("rx-multicast-ipc")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
