"""The best readers of datagrams that work here."""

from __future__ import annotations

from ...group import Group
from ...message import Family
from . import kernel_features
from .batch_reader import BatchReader
from .datagram_readers import InterfaceReader, LocalReader, MessageReader, PlainReader, Reader
from .platform import PLATFORM


def reader(family: Family) -> Reader:
    """The best reader of messages to one address that works here."""
    features = kernel_features.current()
    kind = BatchReader if features.recvmmsg else MessageReader if features.udp_gro else PlainReader
    return kind(family)


def group_reader(group: Group) -> Reader:
    """The best reader of a group's messages that works here."""
    return LocalReader("IPv4") if PLATFORM == "win32" and group.is_loopback else reader(group.family)


def interface_reader(family: Family, only: int = 0) -> Reader:
    """A reader that tells interfaces, where the system does. See :class:`InterfaceReader`."""
    return InterfaceReader(family, only) if kernel_features.current().recvmsg else PlainReader(family)
