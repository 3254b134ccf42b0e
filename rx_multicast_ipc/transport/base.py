"""The seam between a channel and whatever carries its datagrams."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, Protocol

from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..channel_events import ChannelEvent
from ..channel_options import ChannelOptions
from ..channel_statistics import Statistics
from ..errors import SendFailed
from ..group import Group
from ..message import Address, Message
from ..subscribing.subscriber_errors import on_delivering_thread

Deliver = Callable[[list[Message]], None]
"""Takes what one read brought: at least one message, in arrival order.

It may have a method ``awaited() -> bool`` that tells, on any thread, whether anybody waits for messages now. While
nobody does, an end need not hurry with its own messages.
"""

Ended = Callable[[Exception | None], None]
"""Takes the fault that ended the transport, or None if it was closed."""

Changed = Callable[[ChannelEvent], None]
"""Takes what happened to the network under it, once that was dealt with."""


class Hears(StrEnum):
    """What an end is opened to hear."""

    ALL = "all"
    """The group, and what is sent to this end alone."""

    DIRECT = "direct"
    """What is sent to this end alone: it joins no group."""

    NOTHING = "nothing"
    """It only sends, and is never started."""


class WouldBlock(SendFailed):
    """The send buffer is full, and this thread may not wait: :meth:`Transport.when_writable` tells.

    Attributes:
        sent: how many of several went before it.
    """


class Transport(Protocol):
    """One open end of a group.

    It delivers, and runs its timers, on one thread (or an event loop, or in virtual time): its *I/O thread*.
    ``deliver`` is called there only, hence never concurrently, and never after :meth:`close` returned; so is
    ``changed``, and ``ended`` is called there once, last. Payloads arrive whole, and an empty payload is a message.
    Trouble that can heal does not end it. What a transport cannot do raises ``Unsupported``.

    An end that hears the group hears itself, unless its options say ``echo=False``. Its own messages are delivered
    once, in the order in which they were sent, whatever becomes of those of others.
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
    def payload_limit(self) -> int:
        """Bytes of the largest payload that it sends."""
        ...

    @property
    def scheduler(self) -> PeriodicScheduler:
        """Runs timers on the I/O thread, serial with delivery."""
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
        """Begin to deliver what arrived since it was opened; once at most, and not if it hears nothing."""
        ...

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        """Send one datagram, to the group or to one numeric address; from any thread.

        Where the send buffer is full, it waits, if :func:`may_wait` says that this thread may.

        Raises:
            WouldBlock: the send buffer is full, and this thread may not wait.
            SendFailed: the system refused it.
            ChannelClosed: after close.
        """
        ...

    def check_destination(self, address: str) -> str | None:
        """``address`` the way :meth:`send` takes it; None for a name, which :meth:`look_up` resolves.

        Raises:
            InvalidAddress: nothing can be sent there from this end, whatever it resolves to.
            Unsupported: a name, where there are none.
        """
        ...

    def look_up(self, name: str) -> str:
        """The address of a host, checked; may block for long. Raises ``InvalidAddress``."""
        ...

    def send_many(self, payloads: Sequence[bytes]) -> None:
        """Send datagrams to the group, in order, together where that is cheaper; from any thread.

        Raises:
            WouldBlock, SendFailed: as for :meth:`send`; ``sent`` says how many of these went before it.
            ChannelClosed: after close.
            BaseException: what a signal handler raises meanwhile; :func:`sent_before` says it for that.
        """
        ...

    def when_writable(self, action: Callable[[], None]) -> None:
        """Run ``action`` on the I/O thread as soon as the send buffer may take a datagram, or after close."""
        ...

    def call(self, action: Callable[[], None]) -> None:
        """Run ``action`` on the I/O thread: at once when there, else as soon as it is free; also after close."""
        ...

    def close(self, *, wait: bool = True) -> None:
        """End, on the I/O thread; idempotent, from any thread.

        Args:
            wait: return only when ended. A delivery that does not end is waited for 5 seconds at most; on the I/O
                thread itself, it is over at once, and on that of another end nothing is waited for.
        """
        ...


class OpenTransport(Protocol):
    """Opens a transport, or raises ``CannotOpen`` or an ``InvalidArgument`` and leaves nothing open.

    One without host names says so: ``has_names = False``.
    """

    def __call__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
        """Open one end of ``group``.

        Args:
            group: where to.
            options: complete and checked; a transport reads those that concern it.
            hears: what it is to hear.
        """
        ...


def note_sent(error: BaseException, sent: int) -> None:
    """Say in what ``send_many`` raises how many payloads went before it."""
    vars(error)["sent"] = sent


def sent_before(error: BaseException) -> int:
    """How many payloads of ``send_many`` went before it raised ``error``; 0 where it could not say so."""
    return getattr(error, "sent", 0)


def may_wait() -> bool:
    """Whether this thread may block: it neither delivers messages nor runs an event loop, so nobody waits for it."""
    return not (HERE.must_go_on or on_delivering_thread()) and asyncio._get_running_loop() is None  # pyright: ignore


class _Here(threading.local):
    """What this thread does.

    Attributes:
        must_go_on: whether it holds a lock that the I/O thread takes, and so does not wait for a full send buffer. Set,
            and set back, by who does, and not by a call, which a signal could keep from being made.
    """

    must_go_on = False


HERE: Final = _Here()
