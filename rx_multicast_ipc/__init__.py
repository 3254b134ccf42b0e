"""Processes on one machine or several talk through a UDP multicast group, as Observables.

import rx_multicast_ipc as ipc
from reactivex import operators as ops

joins = ipc.messages().pipe(ops.filter(lambda m: m.text.startswith("join:")))
subscription = joins.subscribe(lambda m: print(m.text, "from", m.address, m.port))
ipc.run(ipc.broadcast("join:Ann"))
"""

from . import operators
from .bridges import run, to_async_iterable
from .channel import Channel, open_channel, with_socket
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
    InvalidOption,
    InvalidPayload,
    InvalidPort,
    InvalidTTL,
    MessageTimeout,
    MissingExtra,
    MulticastError,
    NeverSubscribedWarning,
    NoRoute,
    PayloadTooLarge,
    PortInUse,
    SendFailed,
    Unsupported,
    WouldDeadlock,
)
from .group import DEFAULT_GROUP, DEFAULT_PORT, Group
from .loops import repeat_for, repeat_while
from .message import Message
from .network_event import NetworkChange, NetworkEvent
from .overflow import Overflow
from .shared import broadcast, messages, send
from .statistics import Statistics
from .unhandled import set_unhandled_error_hook

__all__ = [
    "DEFAULT_GROUP",
    "DEFAULT_PORT",
    "BufferOverflow",
    "CannotOpen",
    "CaptureCorrupt",
    "CaptureFailed",
    "Channel",
    "ChannelClosed",
    "DecodeFailed",
    "Group",
    "InvalidAddress",
    "InvalidArgument",
    "InvalidGroup",
    "InvalidInterface",
    "InvalidOption",
    "InvalidPayload",
    "InvalidPort",
    "InvalidTTL",
    "Message",
    "MessageTimeout",
    "MissingExtra",
    "MulticastError",
    "NetworkChange",
    "NetworkEvent",
    "NeverSubscribedWarning",
    "NoRoute",
    "Overflow",
    "PayloadTooLarge",
    "PortInUse",
    "SendFailed",
    "Statistics",
    "Unsupported",
    "WouldDeadlock",
    "broadcast",
    "messages",
    "open_channel",
    "operators",
    "repeat_for",
    "repeat_while",
    "run",
    "send",
    "set_unhandled_error_hook",
    "to_async_iterable",
    "with_socket",
]
