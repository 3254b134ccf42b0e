"""Processes on one machine or several talk through a UDP multicast group, as Observables.

import rx_multicast_ipc as ipc
from reactivex import operators as ops

joins = ipc.messages().pipe(ops.filter(lambda m: m.text.startswith("join:")))
subscription = joins.subscribe(lambda m: print(m.text, "from", m.address, m.port))
ipc.run(ipc.broadcast("join:Ann"))
"""

from . import operators
from .blocking_run import run
from .channel import Channel, open_channel, with_socket
from .channel_events import NetworkChange, NetworkEvent
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
    InvalidOption,
    InvalidPayload,
    InvalidPort,
    InvalidTopic,
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
from .message import Message, Received
from .receiving.async_iteration import to_async_iterable
from .receiving.overflow import Overflow
from .repeat_loops import repeat_for, repeat_while
from .shared_channels import broadcast, messages, send
from .subscriber_errors import set_unhandled_error_hook
from .topics.topic import Topic
from .topics.topic_message import TopicMessage

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
    "InvalidTopic",
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
    "Received",
    "SendFailed",
    "Statistics",
    "Topic",
    "TopicMessage",
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
