"""What is put around whole packets on their way out, and taken off on their way in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ...channel_events import ChannelEvent
from ...message import Address, Message

SendPacket = Callable[[bytes, Address | None], None]
"""Sends a packet, in its envelope, to one address or, with None, to the group; from any thread, without waiting."""

Tell = Callable[[ChannelEvent], None]
"""Tells the user of the channel of an event; from any thread."""


class Envelope(Protocol):
    """What is put around the packets of one opening of a channel.

    :meth:`wrap` is called with the lock of the channel's packets held, :meth:`open` on its I/O thread.
    """

    @property
    def overhead(self) -> int:
        """Bytes that it adds to every packet: always as many, so that equal packets stay GSO batches."""
        ...

    def attach(self, send: SendPacket, tell: Tell) -> None:
        """It is in use from now on; called once, before anything else."""
        ...

    def wrap(self, packet: bytes, destination: Address | None) -> bytes:
        """The datagram for a packet that goes to one address or, with None, to the group. A repair is a new one."""
        ...

    def open(self, datagram: Message) -> bytes | None:
        """The packet in a datagram; None drops it, which the envelope counts and tells of itself."""
        ...

    def counts(self) -> dict[str, Any]:
        """What it adds to the channel's statistics, by field."""
        ...
