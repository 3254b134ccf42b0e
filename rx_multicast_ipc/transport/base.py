"""The seam between a channel and whatever carries its datagrams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..channel_events import NetworkEvent
from ..channel_statistics import Statistics
from ..errors import SendFailed
from ..group import Group
from ..message import Address, Message

Deliver = Callable[[list[Message]], None]
"""Takes what one read brought: at least one message, in arrival order."""

Ended = Callable[[Exception | None], None]
"""Takes the fault that ended the transport, or None if it was closed."""

Changed = Callable[[NetworkEvent], None]
"""Takes what happened to the network under it, once that was dealt with."""


class WouldBlock(SendFailed):
    """There is no room for a datagram, and this thread may not wait for it: :meth:`Transport.when_room` tells.

    Attributes:
        sent: how many of several went before it.
    """


class Transport(Protocol):
    """One open end of a group.

    It has a *home*: the one thread (or virtual time) on which it delivers and runs its timers. ``deliver``
    is called at home only, hence never concurrently, and never after :meth:`close` returned; so is ``changed``, and
    ``ended`` is called there once, last. Payloads arrive whole, and an empty payload is a message. Trouble that can
    heal does not end it. What a transport cannot do raises ``Unsupported``.
    """

    @property
    def group(self) -> Group:
        """Where it was opened."""
        ...

    @property
    def sender_address(self) -> Address:
        """Its own address: where its datagrams come from, and where replies to it go."""
        ...

    @property
    def own_addresses(self) -> frozenset[Address]:
        """All of them: one an interface."""
        ...

    @property
    def scheduler(self) -> PeriodicScheduler:
        """Runs timers at home, serial with delivery."""
        ...

    @property
    def statistics(self) -> Statistics:
        """What was counted so far; after close, the final count."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it was closed, or a fault did so. It may still be about to end."""
        ...

    @property
    def ended(self) -> bool:
        """Whether it let go of all it held."""
        ...

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        """Begin to deliver what arrived since it was opened; once at most, and not if opened with ``listen=False``."""
        ...

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        """Send one datagram, to the group or to one numeric address; from any thread.

        Where there is no room for it, it waits; but not on a delivering thread or an event loop's.

        Raises:
            WouldBlock: there is no room, and it may not wait.
            SendFailed: the system refused it.
            ChannelClosed: after close.
        """
        ...

    @property
    def has_names(self) -> bool:
        """Whether there are host names, for :meth:`look_up`."""
        ...

    def look_up(self, name: str) -> str:
        """The numeric address of a host; may block for long. Raises ``InvalidAddress``."""
        ...

    def send_many(self, payloads: Sequence[bytes]) -> None:
        """Send datagrams to the group, in order, together where that is cheaper; from any thread.

        Raises:
            WouldBlock, SendFailed: as for :meth:`send`; ``sent`` says how many of these went before it.
            ChannelClosed: after close.
        """
        ...

    def when_room(self, action: Callable[[], None]) -> None:
        """Run ``action`` at home as soon as there may be room for a datagram, or after close."""
        ...

    def call(self, action: Callable[[], None]) -> None:
        """Run ``action`` at home: at once when already there, else as soon as home is free. Also after close."""
        ...

    def close(self, *, wait: bool = True) -> None:
        """End, at home; idempotent, from any thread.

        Args:
            wait: return only when ended. On the thread of home itself that is at once. A delivery that
                does not end is waited for 5 seconds at most.
        """
        ...


class OpenTransport(Protocol):
    """Opens a transport, or raises ``CannotOpen`` or an ``InvalidArgument`` and leaves nothing open.

    One without host names says so: ``has_names = False``.
    """

    def __call__(self, group: Group, *, receive_buffer: int, listen: bool = True) -> Transport:
        """Open one end of ``group``.

        Args:
            group: where to.
            receive_buffer: bytes of kernel buffer to ask for.
            listen: False opens an end that only sends: it joins no group and delivers nothing.
        """
        ...
