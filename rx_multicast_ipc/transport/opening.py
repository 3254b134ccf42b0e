"""How this process opens transports: live UDP, unless a test put the process on a virtual network."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ..group import Group
from . import OpenTransport, Transport
from .udp.transport import UdpTransport

_current: OpenTransport = UdpTransport


def current() -> OpenTransport:
    """What opens the transports of channels that were not given one of their own."""
    return _current


def open_transport(group: Group, *, receive_buffer: int, listen: bool = True) -> Transport:
    """See :class:`rx_multicast_ipc.transport.OpenTransport`."""
    return _current(group, receive_buffer=receive_buffer, listen=listen)


@contextmanager
def opened_by(other: OpenTransport) -> Generator[None]:
    """Within the block, in every thread, transports are opened by ``other``."""
    global _current
    before, _current = _current, other
    try:
        yield
    finally:
        _current = before
