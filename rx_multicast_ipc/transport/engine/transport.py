"""An end of a group that an existing server carries: what is the same for all engines.

How this works. All ends of a process that name one engine alike share one *connection* to it (``connections.py``). The
connection belongs to one kind of engine; everything that a channel sees belongs to :class:`EngineTransport`:

- Its address is the connection's ``session`` (random, of one connection of one process), its port the number of the
  channel in its process (``channel_numbers.py``). A reply to it reaches this end alone.
- *Out* (``numbered_sends.py``): each message to the group has a running number, from 1 on; those to one address are
  numbered apart, by address. While the engine is away, sends raise ``SendFailed``.
- *In* (``numbered_arrivals.py``): the connection calls :meth:`EngineTransport.arrive` on a thread of its own, with
  messages and their numbers. What is missing is counted, and what came is queued for the end's I/O thread, which is
  woken once a burst. No lock of sends is taken there, so ``arrive`` may be called within ``publish``.
- *Own messages* come from memory. The engine need not send them back; those that it does are ignored.
- *Away and back*: the connection calls :meth:`EngineTransport.tell_of`; a :class:`NetworkEvent` in its place.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from reactivex.abc import DisposableBase

from ...channel_events import ChannelEvent, NetworkChange, NetworkEvent
from ...channel_options import ChannelOptions
from ...channel_statistics import Statistics
from ...errors import InvalidAddress, Unsupported
from ...group import Group
from ...message import Address, Family, Message
from ...validation.arguments import shown
from ..base import Changed, Deliver, Ended, Hears
from ..own_messages import OwnMessages
from ..threaded_end import ThreadedEnd
from ..udp.error_advice import cannot_open
from ..udp.io_loop import io_thread
from .channel_numbers import give_back, take_number
from .connection import Connection
from .numbered_arrivals import NumberedArrivals
from .numbered_sends import NumberedSends
from .sent_topics import SentTopics

_log = logging.getLogger("rx_multicast_ipc")

_LOSS_CHECK: Final = 1.0
"""Seconds from a loss to its report, so that reports of more come once a second at most."""

_FOR_GOOD: Final = 1e9
"""Seconds: the timer that keeps the I/O thread of a started end."""

_QUEUE: Final = 16
"""Bytes that may wait for the I/O thread, for each that the option ``receive_buffer`` asks for: 64 MiB if not given."""


class EngineTransport(ThreadedEnd):
    """One end of a group that an engine carries. See :class:`rx_multicast_ipc.transport.base.Transport`.

    Args:
        group, options, hears: as for :class:`rx_multicast_ipc.transport.base.OpenTransport`.
        connection: what carries it.
        topic: the subject that its messages go by, if that is one of others.

    Attributes:
        hears, number, sender_address, to_group, by_topic: see :class:`.connection.End`.
        connection: what carries it.
        topics: the pattern of those that it hears; None for all, and what is of none.
    """

    has_names = False

    _has_topics = True
    """Whether topics are part of where its messages go."""

    def __init__(
        self, group: Group, options: ChannelOptions, hears: Hears, connection: Connection[Any], topic: str = ""
    ) -> None:
        if options["send_from"] == "group":
            raise Unsupported('an engine has no shared ports to send from: leave send_from="group" out, or use UDP')
        waits = _Waiting(self)
        super().__init__(
            group, io_thread(options, f"rx_multicast_ipc {group}", waits, self._deliver_what_came, self._fail)
        )
        self.family: Family = group.family
        self.to_group: Address = group.address, group.port
        self.hears = hears
        self.connection = connection
        self.number, first = take_number(self)
        self.sender_address: Address = connection.session, self.number
        self.own_addresses = frozenset({self.sender_address})
        self._capacity = options["receive_buffer"] * _QUEUE
        echoes = hears is Hears.ALL and options["echo"]
        self._own = OwnMessages(self.to_group, self._capacity, topic) if echoes else None
        self.topics = options["topics"]
        self.by_topic = self.topics is not None and self._has_topics
        self._incoming = NumberedArrivals(self.sender_address, group.sources, self._capacity, by_topic=self.by_topic)
        topics = SentTopics(self.place_of) if self._has_topics else None
        self._outgoing = NumberedSends(self, connection, first, topics, self._own, self._thread.post, self._hear_itself)
        self._events: deque[ChannelEvent] = deque()
        self._losses_reported = 0
        self._loss_check: DisposableBase | None = None
        self._gave_back = False
        self._staying: DisposableBase | None = None
        self._prepare()
        try:
            connection.attach(self)
        except BaseException:
            give_back(self.number, first)
            self.closed = True
            raise

    def _prepare(self) -> None:
        """Make what an engine's own kind of end needs before it is attached, with its address known."""

    def place_of(self, topic: str) -> Any:
        """Where this end publishes to a topic."""
        raise NotImplementedError

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self._begin(deliver, ended, changed)
        try:
            self._staying = self.scheduler.schedule_relative(_FOR_GOOD, lambda _scheduler, _state: None)
        except (OSError, MemoryError, RuntimeError) as error:  # no thread can be started
            raise cannot_open(self.group, error) from error
        if self._own is not None:
            with self._outgoing.lock:
                self._own.start()
        self._thread.run_soon(_yes)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.group}>"

    @property
    def payload_limit(self) -> int:
        return self.connection.payload_limit

    @property
    def statistics(self) -> Statistics:
        with self._outgoing.lock:
            return self._final or self._count()

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        self._outgoing.send((payload,), None if destination == self.to_group else destination)

    def send_many(self, payloads: Sequence[bytes]) -> None:
        self._outgoing.send(payloads, None)

    def check_destination(self, address: str) -> str | None:
        if not isinstance(address, str):
            raise InvalidAddress(f"address must be that of a message's sender, not {shown(address)}")
        if not self.is_address(address):
            raise self._no_names(address)
        return address

    def is_address(self, address: str) -> bool:
        """Whether an end may have this address."""
        return address == self.group.address or len(address) == len(self.connection.session)

    def look_up(self, name: str) -> str:
        raise self._no_names(name)

    def when_writable(self, action: Callable[[], None]) -> None:
        if self.closed:
            self._thread.post(action)
        else:
            self.connection.when_writable(lambda: self._thread.post(action))

    # What its connection calls: see End.

    def arrive(self, messages: Sequence[Message], numbers: Sequence[int | None]) -> None:
        if self._incoming.put(messages, numbers) and self._started:
            self._thread.run_soon(_yes)

    def tell(self, event: ChannelEvent) -> None:
        if self._started and not self.closed:
            self._events.append(event)
            self._thread.post(self._tell_events)

    def tell_of(self, change: NetworkChange) -> None:
        self.tell(NetworkEvent(change, self.connection.url, self.connection.session, time.time()))

    def fail(self, fault: Exception) -> None:
        self._fault = self._fault or fault
        self.close(wait=False)

    # Delivery, on the I/O thread.

    def _tell_events(self) -> None:
        events, changed = self._events, self._changed
        while events and changed is not None and not self.closed:
            event = events[0]
            self._deliver_what_came()  # before it did; and events, where this was posted meanwhile
            if events and events[0] is event and not self.closed:
                del events[0]  # no call in between
                changed(event)

    def _hear_itself(self) -> None:
        if self._started:
            self._thread.run_soon(self._awaited)

    def _deliver_what_came(self) -> int:
        """Deliver all that waits, own messages before what may be the answer to them; returns how many there were."""
        if self.closed or self._deliver is None:
            return 0
        taken = self._taken
        place = len(taken)
        self._incoming.move_to(taken)
        if self._loss_check is None and self._incoming.lost > self._losses_reported:
            self._loss_check = self.scheduler.schedule_relative(_LOSS_CHECK, self._report_losses)
        if self._own is not None:
            with self._outgoing.lock:
                taken[place:place] = self._own.take()
        return self._deliver_taken()

    def _report_losses(self, _scheduler: object, _state: object) -> None:
        self._loss_check = None
        lost, dropped = self._incoming.lost, self._incoming.dropped
        _log.warning(
            "%s: %d messages of others did not arrive (%d in all, %d of which this process read too slowly for); "
            "reliable=True repairs such losses",
            self.group,
            lost - self._losses_reported,
            lost,
            dropped,
        )
        self._losses_reported = lost

    def _count(self) -> Statistics:
        outgoing = self._outgoing
        return Statistics(
            received=self._received,
            received_bytes=self._received_bytes,
            sent=outgoing.sent,
            sent_bytes=outgoing.sent_bytes,
            refused=outgoing.refused,
            dropped=self._incoming.dropped + (0 if self._own is None else self._own.dropped),
            lost=self._incoming.lost,
            receive_buffer=self._capacity,
        )

    def _no_names(self, name: str) -> Unsupported:
        return Unsupported(
            f"an engine has no host names and no numeric addresses, such as {name!r}; answer the sender of a message: "
            "channel.reply(message, data)"
        )

    # The end: see ThreadedEnd.

    def _shut(self) -> None:
        self._outgoing.closed = True

    @property
    def _is_sending_here(self) -> bool:
        return self._outgoing.is_in_use_here

    def _let_go(self) -> None:
        self.connection.detach(self)
        with self._outgoing.lock:
            if self._final is None:
                self._final = self._count()
            if self._own is not None:
                self._own.stop()
        self._incoming.move_to([])
        self._taken = []
        for timer in (self._staying, self._loss_check):
            if timer is not None:
                timer.dispose()
        if not self._gave_back:
            self._gave_back = True
            give_back(self.number, self._outgoing.next)

    def forget(self) -> None:
        self._outgoing.forget()
        super().forget()


class _Waiting:
    """Whether something waits for the I/O thread."""

    def __init__(self, end: EngineTransport) -> None:
        self._end = end

    @property
    def pending(self) -> bool:
        end = self._end
        own = end._own  # pyright: ignore[reportPrivateUsage]
        return end._started and bool(end._incoming or end._taken or (own is not None and own.pending))  # pyright: ignore[reportPrivateUsage]

    @property
    def crowded(self) -> bool:
        own = self._end._own  # pyright: ignore[reportPrivateUsage]
        return own is not None and own.crowded


def _yes() -> bool:
    return True
