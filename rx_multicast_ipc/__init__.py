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

from .strangers import safe_log

if TYPE_CHECKING:  # also what PyInstaller goes by; see __getattr__ for what is loaded
    from . import capture, notebook, operators, testing
    from .blocking_run import run
    from .bridging import Bridge, BridgeRole, BridgeStatistics, bridge
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
    from .group_state.latest.value import LatestValue
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
    from .subscribing.subscriber_errors import set_unhandled_error_hook
    from .topics.topic import Topic
    from .topics.topic_message import TopicMessage

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

_PLACES = {
    "": "capture notebook operators testing",
    ".blocking_run": "run",
    ".bridging": "Bridge BridgeRole BridgeStatistics bridge",
    ".channel": "Channel",
    ".channel_events": "ChannelEvent Forbidden Gap Joined Left NetworkChange NetworkEvent Rejected",
    ".channel_opening": "open_channel with_socket",
    ".channel_options": "ChannelOptions",
    ".channel_statistics": "Statistics",
    ".group": "DEFAULT_GROUP DEFAULT_PORT Group",
    ".group_state.latest.value": "LatestValue",
    ".message": "Message Received",
    ".option_values.engines": "Nats Zenoh",
    ".option_values.key": "Key",
    ".option_values.member": "Member",
    ".option_values.presence": "Presence",
    ".option_values.reliable": "Acknowledged Reliable",
    ".receiving.async_iteration": "to_async_iterable",
    ".receiving.overflow": "Overflow",
    ".repeat_loops": "repeat_for repeat_while",
    ".shared_channels": "broadcast messages send",
    ".subscribing.subscriber_errors": "set_unhandled_error_hook",
    ".topics.topic": "Topic",
    ".topics.topic_message": "TopicMessage",
}
"""Modules, and what is public in them; what is in none is an error. A module loads when its first name is touched."""

_MODULES = {name: module for module, names in _PLACES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("rx-multicast-ipc")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _MODULES.get(name, ".errors")
    loaded = import_module(module or f".{name}", __name__)
    value = globals()[name] = getattr(loaded, name) if module else loaded
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
