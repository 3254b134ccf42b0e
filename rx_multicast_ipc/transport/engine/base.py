"""What all engines share: an end of a group that an existing server carries, and what it asks of its connection.

How this works. All ends of a process that name one engine alike share one *connection* to it (``connections.py``). The
connection belongs to one kind of engine; everything that a channel sees belongs to :class:`EngineTransport`:

- Its address is the connection's ``session`` (random, of one connection of one process), its port the number of the
  channel in its process. A reply to it reaches this end alone.
- *Out*: each message to the group has a running number, from 1 on; those to one address are numbered apart, by
  address. Numbers are given out under the end's send lock, in which :meth:`Connection.publish` is called too, so that
  they go out in order; a message that was refused takes no number. While the engine is away, it raises ``SendFailed``.
- *In*: the connection calls :meth:`EngineTransport.arrive` on a thread of its own, with messages and their numbers. It
  takes one short lock (never the send lock, so ``arrive`` may be called within ``publish``), counts what is missing,
  and queues the message for the end's I/O thread, which is woken once a burst. A full queue drops the newest, and
  counts.
- ``statistics.lost`` is what the numbers say is missing, and what the queue dropped: exactly what others sent while
  this end heard them, and it did not deliver. A message that comes late or twice is passed over.
- *Own messages* come from memory. The engine need not send them back; those that it does are passed over.
- *Away and back*: the connection calls :meth:`EngineTransport.tell` for each end; a :class:`NetworkEvent` in its place.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from typing import Final, Protocol

from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ...channel_events import ChannelEvent, NetworkChange, NetworkEvent
from ...channel_options import ChannelOptions
from ...channel_statistics import Statistics
from ...errors import CannotOpen, ChannelClosed, InvalidAddress, SendFailed, Unsupported
from ...group import Group
from ...message import Address, Family, Message
from ...strangers.bounded_map import BoundedMap
from ...subscribing.subscriber_errors import on_delivering_thread, report
from .. import close_at_exit
from ..base import Changed, Deliver, Ended, Hears, WouldBlock, may_wait
from ..latch import Latch
from ..udp.io_thread import IoThread
from .arrivals import Arrivals
from .running_numbers import FIRST, RunningNumbers

_log = logging.getLogger("rx_multicast_ipc")

_CLOSE_WAIT: Final = 5.0
"""Seconds that close waits for a delivery under way."""

_FOR_GOOD: Final = 1e9
"""Seconds: the timer that keeps the I/O thread of a started end."""

_QUEUE: Final = 16
"""Bytes that may wait for the I/O thread, for each that the option ``receive_buffer`` asks for: 64 MiB if not given."""

_MOST_DESTINATIONS: Final = 4096
"""Addresses whose messages are numbered; one that is forgotten begins anew."""

_LOOK_AGAIN: Final = 0.2
"""Seconds after which a thread that waits to send looks by itself."""


class Connection(Protocol):
    """One connection to one engine, for all ends of this process that name it alike.

    Everything may be called on any thread, in a signal handler too, except where it says otherwise.
    """

    @property
    def url(self) -> str:
        """Where it leads, without anything that is secret."""
        ...

    @property
    def session(self) -> str:
        """The address of all of its ends; random. Another one in a forked child."""
        ...

    @property
    def payload_limit(self) -> int:
        """Bytes of the largest payload that the engine takes."""
        ...

    def attach(self, end: EngineTransport) -> None:
        """Subscribe for ``end`` to what it ``hears``; returns when the engine has the subscription.

        Raises:
            ChannelClosed: this connection is closed; another one is to be made.
            CannotOpen: the engine is away, or refused it.
        """
        ...

    def detach(self, end: EngineTransport) -> None:
        """Let go of ``end``; once at most. Where that was the last one, the connection may close after a moment."""
        ...

    def publish(
        self, end: EngineTransport, payloads: Sequence[bytes], number: int, destination: Address | None
    ) -> None:
        """Send each, numbered from ``number`` on, to the group of ``end`` or to one address. It must not wait.

        Called with the send lock of ``end`` held. It reaches other ends on this connection as well.

        Raises:
            WouldBlock: the engine takes no more right now. ``sent`` says how many went before, and are on their way.
            SendFailed: the engine is away, or refused it; ``sent`` as well.
        """
        ...

    def when_writable(self, action: Callable[[], None]) -> None:
        """Call ``action`` once, on any thread, as soon as ``publish`` may take something, or fails at once."""
        ...


Publish = Callable[["EngineTransport", Sequence[bytes], int, Address | None], None]
"""See :meth:`Connection.publish`."""


class EngineTransport:
    """One end of a group that an engine carries. See :class:`rx_multicast_ipc.transport.base.Transport`.

    Args:
        group, options, hears: as for :class:`rx_multicast_ipc.transport.base.OpenTransport`.
        connection: what carries it.

    Attributes:
        hears: what it is opened to hear.
        number: of the channel in its process, its port; different from that of every other open end.
    """

    has_names = False

    def __init__(self, group: Group, options: ChannelOptions, hears: Hears, connection: Connection) -> None:
        if options["send_from"] == "group":
            raise Unsupported('an engine has no shared ports to send from: leave send_from="group" out, or use UDP')
        self.group = group
        self.family: Family = group.family
        self.to_group: Address = group.address, group.port
        self.hears = hears
        self.connection = connection
        self.number, self._next = _take_number()
        self.sender_address: Address = connection.session, self.number
        self.own_addresses = frozenset({self.sender_address})
        self._capacity = options["receive_buffer"] * _QUEUE
        self._closed = False
        self._gone = Latch()
        self._end_lock = threading.RLock()
        self._started = False
        self._deliver: Deliver | None = None
        self._ended: Ended | None = None
        self._changed: Changed | None = None
        self._fault: Exception | None = None
        self._final: Statistics | None = None
        self._send_lock = threading.RLock()
        self._next_direct: BoundedMap[Address, int] = BoundedMap(_MOST_DESTINATIONS)
        self._own = Arrivals(self._capacity) if hears is Hears.ALL and options["echo"] else None
        self._sent = self._sent_bytes = self._refused = 0
        self._queue_lock = threading.RLock()
        self._arrivals = Arrivals(self._capacity)
        self._numbers = RunningNumbers()
        self._lost = self._received = self._received_bytes = 0
        self._thread = IoThread(f"rx_multicast_ipc {group}", _Waiting(self), self._deliver_waiting, self._fail)
        self._prepare()
        try:
            connection.attach(self)
        except BaseException:
            _give_back(self.number, self._next)
            self._closed = True
            raise

    def _prepare(self) -> None:
        """Make what an engine's own kind of end needs before it is attached."""

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self._deliver = deliver
        self._awaited: Callable[[], bool] = getattr(deliver, "awaited", lambda: True)
        self._ended = ended
        self._changed = changed
        self._started = True
        close_at_exit.add(self)
        try:
            self._staying = self.scheduler.schedule_relative(_FOR_GOOD, lambda _scheduler, _state: None)
        except (OSError, MemoryError, RuntimeError) as error:  # no thread can be started
            raise CannotOpen(f"cannot open {self.group}: {error}") from error
        self._thread.run_soon(_yes)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.group}>"

    @property
    def scheduler(self) -> PeriodicScheduler:
        return self._thread.scheduler

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def ended(self) -> bool:
        return self._gone.is_set

    @property
    def payload_limit(self) -> int:
        return self.connection.payload_limit

    @property
    def statistics(self) -> Statistics:
        with self._send_lock:
            return self._final or self._count()

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if destination == (self.group.address, self.group.port):
            destination = None
        self._send_all((payload,), destination)

    def send_many(self, payloads: Sequence[bytes]) -> None:
        self._send_all(payloads, None)

    def check_destination(self, address: str) -> str | None:
        if not isinstance(address, str):
            raise InvalidAddress(f"address must be that of a message's sender, not {address!r}")
        if not self.is_address(address):
            raise self._no_names(address)
        return address

    def is_address(self, address: str) -> bool:
        """Whether an end may have this address."""
        return address == self.group.address or len(address) == len(self.connection.session)

    def look_up(self, name: str) -> str:
        raise self._no_names(name)

    def when_writable(self, action: Callable[[], None]) -> None:
        if self._closed:
            self._thread.post(action)
        else:
            self.connection.when_writable(lambda: self._thread.post(action))

    def call(self, action: Callable[[], None]) -> None:
        self._thread.call(action)

    # What its connection calls.

    def arrive(self, messages: Sequence[Message], numbers: Sequence[int | None]) -> None:
        """Take what came for this end, each with its running number; None for what has none. On any thread."""
        sources = self.group.sources
        taken: list[Message] = []
        with self._queue_lock:
            for message, number in zip(messages, numbers, strict=True):
                sender = message.sender
                if not message.direct and (sender == self.sender_address or (sources and sender[0] not in sources)):
                    continue
                if number is not None:
                    missing = self._numbers.missing_before(sender, message.direct, number)
                    if missing is None:
                        continue
                    self._lost += missing
                taken.append(message)
            if taken:
                self._lost += self._arrivals.put(taken)
        if taken and self._started:
            self._thread.run_soon(_yes)

    def tell(self, event: ChannelEvent) -> None:
        """Tell of an event after what arrived before it; on any thread."""

        def tell_here() -> None:
            self._deliver_waiting()
            if self._changed is not None and not self._closed:
                self._changed(event)

        if self._started and not self._closed:
            self._thread.post(tell_here)

    def tell_of(self, change: NetworkChange) -> None:
        """Tell that the engine went away (``DOWN``) or is back (``UP``); on any thread."""
        self.tell(NetworkEvent(change, self.connection.url, self.connection.session, time.time()))

    def fail(self, fault: Exception) -> None:
        """End because of ``fault``: nothing can be heard any more. On any thread."""
        self._fault = self._fault or fault
        self.close(wait=False)

    # Sending.

    def _send_all(self, payloads: Sequence[bytes], destination: Address | None) -> None:
        sent = 0
        while True:
            try:
                self._publish(payloads[sent:] if sent else payloads, destination)
            except WouldBlock as error:
                sent += error.sent
                error.sent = sent
                if self._send_lock._is_owned() or not may_wait():  # pyright: ignore
                    raise
            except SendFailed as error:
                error.sent += sent
                raise
            else:
                return
            writable = Latch()
            self.connection.when_writable(writable.set)
            while not (self._closed or writable.wait(_LOOK_AGAIN)):
                pass

    def _publish(self, payloads: Sequence[bytes], destination: Address | None, publish: Publish | None = None) -> None:
        """Send with the next running numbers, by the connection's ``publish`` if not by another one."""
        if self._send_lock._is_owned():  # pyright: ignore  # a signal handler interrupted a send of its own thread
            self._thread.post(partial(self._send_all, payloads, destination))
            return
        limit = self.connection.payload_limit
        fitting = len(payloads)
        if fitting and max(map(len, payloads)) > limit:
            fitting = next(place for place, payload in enumerate(payloads) if len(payload) > limit)
        with self._send_lock:
            if self._closed:
                raise ChannelClosed
            sent = fitting  # also if a signal interrupts it: a number is never given twice
            fitting_ones = payloads if fitting == len(payloads) else payloads[:fitting]
            first = self._next if destination is None else self._next_direct.use(destination, lambda _: FIRST)
            try:
                if fitting:
                    (publish or self.connection.publish)(self, fitting_ones, first, destination)
            except ChannelClosed:
                sent = 0
                raise
            except SendFailed as error:
                sent = error.sent
                self._refused += not isinstance(error, WouldBlock)
                raise
            finally:
                if sent:
                    self._note_sent(fitting_ones if sent == fitting else fitting_ones[:sent], first, destination)
            if fitting < len(payloads):
                self._refused += 1
                refused = SendFailed(
                    f"cannot send {len(payloads[fitting])} bytes to {self.group}: the engine takes {limit} at most; "
                    "split them, or send a reference to them"
                )
                refused.sent = fitting
                raise refused from OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        if self._own and self._started:
            self._thread.run_soon(self._awaited)

    def _note_sent(self, payloads: Sequence[bytes], first: int, destination: Address | None) -> None:
        """Count what went out, and put it where this end hears itself; with the send lock held."""
        self._sent += len(payloads)
        self._sent_bytes += sum(map(len, payloads))
        if destination is not None:
            self._next_direct[destination] = first + len(payloads)
            return
        self._next = first + len(payloads)
        if self._own is not None:
            now = time.time()
            self._own.put(self._own_messages(payloads, now))

    def _own_messages(self, payloads: Sequence[bytes], now: float) -> list[Message]:
        fields = (*self.sender_address, self.group.family, now, False, "", self.to_group)
        return list(map(Message, payloads, *map(repeat, fields)))

    def _no_names(self, name: str) -> Unsupported:
        return Unsupported(
            f"an engine has no host names and no numeric addresses, such as {name!r}; answer the sender of a message: "
            "channel.reply(message, data)"
        )

    # Delivery, on the I/O thread.

    def _deliver_waiting(self) -> int:
        """Deliver all that waits, own messages before what may be the answer to them; returns how many there were."""
        if self._closed or self._deliver is None:
            return 0
        with self._queue_lock:
            others = self._arrivals.take()
        own: list[Message] = []
        if self._own is not None:
            with self._send_lock:
                own = self._own.take()
        batch = own + others if own else others
        if not batch:
            return 0
        self._thread.run_posted()  # no message overtakes what was asked for before it was sent
        if self._closed:
            return 0
        self._received += len(batch)
        self._received_bytes += sum([len(message.data) for message in batch])
        self._deliver(batch)
        return len(batch)

    def _count(self) -> Statistics:
        return Statistics(
            received=self._received,
            received_bytes=self._received_bytes,
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            refused=self._refused,
            dropped=self._arrivals.dropped + (0 if self._own is None else self._own.dropped),
            lost=self._lost,
            receive_buffer=self._capacity,
        )

    # The end.

    def close(self, *, wait: bool = True) -> None:
        # Whatever interrupts this, the next call does it all again.
        self._closed = True
        if self._gone.is_set:
            return
        if self._started:
            try:
                self._thread.call(self._end)
            except (RuntimeError, MemoryError, OSError):  # no thread can be started, so none is there
                self._end()
        else:
            self._end()
        in_use_here = self._send_lock._is_owned() or self._thread.is_in_use_here  # pyright: ignore
        if not wait or on_delivering_thread() or in_use_here:
            return  # it would wait in vain: for one that waits for it, or for what its own signal handler interrupted
        if not self._gone.wait(_CLOSE_WAIT):
            _log.warning(
                "closing %s: a subscriber has kept the I/O thread busy for %g s; it closes when that ends",
                self.group,
                _CLOSE_WAIT,
            )

    def _end(self) -> None:
        """Let go of all, and tell; from the beginning again if it was interrupted before."""
        with self._end_lock:
            if self._gone.is_set:
                return
            self.connection.detach(self)
            with self._send_lock:
                if self._final is None:
                    self._final = self._count()
                if self._own is not None:
                    self._own.take()
            with self._queue_lock:
                self._arrivals.take()
            if self._started:
                self._staying.dispose()
            try:
                if self._ended is not None:
                    self._ended(self._fault)
            finally:
                close_at_exit.discard(self)
                _give_back(self.number, self._next)
                self._gone.set()

    def _fail(self, error: BaseException) -> None:
        """End because the I/O thread cannot go on; on what is left of it."""
        if self._fault is None and not self._closed:
            self._fault = ChannelClosed(f"{self.group} cannot be read any more: {error!r}; open another channel")
            self._fault.__cause__ = error
            report(error)
        self._closed = True
        self._end()

    def wait_ended(self, seconds: float) -> bool:
        """See :class:`close_at_exit.ClosesAtExit`."""
        return self._gone.wait(seconds)

    def finish(self, deadline: float) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""

        def finish(_scheduler: object, _state: object) -> None:
            while self._deliver_waiting() and time.monotonic() < deadline:
                pass
            self.close(wait=False)

        self.scheduler.schedule(finish)

    def forget(self) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""
        self._closed = True
        self._final = self._final or Statistics()
        self._gone.set()
        self._thread.forget()


class _Waiting:
    """Whether something waits for the I/O thread."""

    def __init__(self, end: EngineTransport) -> None:
        self._end = end

    @property
    def pending(self) -> bool:
        end = self._end
        return end._started and bool(end._arrivals or end._own)  # pyright: ignore[reportPrivateUsage]


def _yes() -> bool:
    return True


_numbers_lock = threading.RLock()
_in_use: set[int] = set()
_next_numbers: dict[int, int] = {}
_last_number = 0


def _take_number() -> tuple[int, int]:
    """The number of a channel, of all that are free the one unused for longest; and the running number to go on with.

    It goes on where the channel before ended that had the number, so that nobody takes what it sends for old messages.
    """
    global _last_number
    with _numbers_lock:
        number = _last_number
        for _ in range(65_535):
            number = number % 65_535 + 1
            if number not in _in_use:
                _in_use.add(number)
                _last_number = number
                return number, _next_numbers.get(number, FIRST)
    raise CannotOpen("this process has 65535 channels on engines already; close some")


def _give_back(number: int, next_number: int) -> None:
    with _numbers_lock:
        _in_use.discard(number)
        _next_numbers[number] = next_number
