"""Many payloads, one after the other: at once, as they come, or at a steady rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from threading import Lock
from typing import Any, Final

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable, SerialDisposable, SingleAssignmentDisposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..channel_scheduler import clock_of
from ..cold_observable import ColdObservable
from ..deadlocks import deadlock
from ..errors import ChannelClosed, InvalidPayload, SendFailed
from ..receiving.bounded_queue import QUEUE_BYTES, BoundedQueue
from ..receiving.closed_notice import ClosedNotice
from ..receiving.event_loop_delivery import at_home_of
from ..receiving.overflow import Overflow
from ..transport import Transport, WouldBlock
from ..validation.arguments import check_rate
from ..validation.payload import Payload, as_payload, is_series

Payloads = Observable[Any] | Iterable[Payload]
"""Payloads to send: an Observable, or an iterable."""

_SHORTEST_PAUSE: Final = 0.001
"""Seconds: a faster rate sends several datagrams after each pause."""

_MOST_CREDIT: Final = 0.01
"""Seconds of being late that a paced transfer catches up with; what is beyond is not made up for."""

_CHUNK: Final = 256
"""Payloads of a sequence that are sent together."""

_MOST_WAITING: Final = 65_536
"""Payloads of an Observable that wait to be sent; their bytes are bounded too."""


_NOTHING: Final = Disposable()

_EMPTY: Final[BoundedQueue[Any]] = BoundedQueue(1)
"""The queue of transfers to which nothing arrives by itself."""


def send_all(
    transport: Transport,
    source: Payloads,
    rate: float | None,
    scheduler: PeriodicScheduler,
    closing: ClosedNotice | None = None,
) -> Observable[int]:
    """Cold: sends every payload of ``source`` to the group, in order, and emits how many were sent.

    Args:
        transport: sends them.
        source: payloads; its error ends the transfer, after what came before it.
        rate: datagrams a second; None for as fast as the source gives them.
        scheduler: runs the pauses.
        closing: tells when the channel closes, for transfers that wait then.
    """
    if not isinstance(source, Observable) and not is_series(source):
        raise InvalidPayload("broadcast_all() takes an iterable or Observable of payloads; broadcast() sends one")
    check_rate(rate)

    def subscribe(observer: ObserverBase[int], given: SchedulerBase | None = None) -> DisposableBase:
        if transport.closed:
            raise ChannelClosed
        blocked = deadlock(scheduler)
        arrives = isinstance(source, Observable)
        arrived: BoundedQueue[Any] = (
            BoundedQueue(_MOST_WAITING, Overflow.ERROR, capacity_bytes=QUEUE_BYTES) if arrives else _EMPTY
        )
        transfer = _Transfer(transport, at_home_of(given, observer), arrived)
        if closing is not None and (rate is not None or arrives):
            transfer.told = closing.add(transfer.fail)
        if rate is not None:
            transfer.pace = _Pace(transfer, rate, scheduler)
        if isinstance(source, Observable):
            transfer.source.disposable = source.subscribe(
                transfer.push, transfer.end_with_error, transfer.end, scheduler=given
            )
        else:
            # An iterator may wait for the answer to what it gave before: only a sequence is taken many at a time.
            transfer.pull(iter(source), _CHUNK if isinstance(source, Sequence) else 1)
        if blocked is not None and not transfer.over:
            transfer.fail(blocked)
        return transfer

    return ColdObservable(subscribe, "broadcast_all")


class _Transfer(DisposableBase):
    """One subscription: sends, counts, and tells its observer how it ended.

    One thread at a time has the turn. Who finds it taken leaves what it brought in the queue, and whoever has it looks
    there again after giving it back; so nobody ever waits for it, not even a signal handler that interrupts its own
    thread.
    While the transfer waits for room nobody gets the turn.

    Attributes:
        sent: payloads that went.
        waiting: whether for room.
        pace: says when to send; None for at once.
        source, told: end with the transfer.

    Args:
        transport: sends.
        observer: told how it ended.
        arrived: the queue for what is pushed.
    """

    def __init__(self, transport: Transport, observer: ObserverBase[int], arrived: BoundedQueue[Any]) -> None:
        self.transport = transport
        self.pace: _Pace | None = None
        self.source = SerialDisposable()
        self.told: DisposableBase = _NOTHING
        self.sent = 0
        self.waiting = False
        self._observer = observer
        self._limit = transport.payload_limit
        self._arrived = arrived
        self._payloads: Iterator[Any] | None = None
        self._chunk = _CHUNK
        self._unsent: list[bytes] = []
        self._end: Callable[[], None] | None = None
        self._turn = Lock()
        self._over = Lock()  # acquired once, by what ends it

    @property
    def over(self) -> bool:
        return self._over.locked()

    @property
    def pending(self) -> bool:
        """Whether there is something to do now."""
        if self.over:
            return False
        return bool(self._arrived or self._unsent) or self._payloads is not None or self._end is not None

    @property
    def pulls(self) -> bool:
        """Whether it asks for payloads, which then do not arrive by themselves."""
        return self._payloads is not None

    def push(self, data: Payload) -> None:
        """Send one, in its turn."""
        if self.over:
            return  # a source that does not listen when it is told to stop
        if self.pace is None and self._turn.acquire(blocking=False):
            waits, first = False, not self._unsent and not self._arrived
            try:
                if first:
                    waits = self._send([as_payload(data, self._limit)])
            except Exception as error:
                self.fail(error)
            finally:
                if not waits:
                    self._turn.release()
            if first:
                self.go_on()  # with what came since it was looked at
                return
        if self._arrived.put(data):
            self.fail(
                SendFailed(
                    f"{len(self._arrived)} payloads wait to be sent: the link or rate= is slower than their source; "
                    "raise the rate, or thin the source out"
                )
            )
            return
        self._begin()

    def pull(self, payloads: Iterator[Payload], chunk: int) -> None:
        """Send all that the iterator gives, so many at a time."""
        self._payloads, self._chunk = payloads, chunk
        self._begin()

    def end(self) -> None:
        """Complete, after what was pushed."""
        self._end = self._complete
        self._begin()

    def end_with_error(self, error: Exception) -> None:
        """Err, after what was pushed."""
        self._end = partial(self.fail, error)
        self._begin()

    def fail(self, error: Exception) -> None:
        """Err at once."""
        if self._finish():
            if isinstance(error, SendFailed):
                error.sent = self.sent
            self._observer.on_error(error)

    def dispose(self) -> None:
        self._finish()

    def go_on(self, most: int | None = None) -> None:
        """Send what there is, or so many of it, unless somebody is at it already."""
        while self.pending and self._turn.acquire(blocking=False):
            waits = False
            try:
                waits = self._send_next(most)
            finally:
                if not waits:
                    self._turn.release()
            if waits or most is not None:
                return

    def _begin(self) -> None:
        if self.pace is None:
            self.go_on()
        else:
            self.pace.wake()

    def _send_next(self, most: int | None) -> bool:
        """Whether it waits for room now; with the turn."""
        is_over = self._over.locked
        while not is_over():
            some = self._unsent
            if not some and (self._payloads is not None or self._arrived):
                if most == 0:
                    return False
                some = self._next(self._chunk if most is None else most)
                if most is not None:
                    most -= len(some)
            if not some:
                if self._end is not None and not self._arrived:
                    self._end()
                return False
            if self._send(some):
                return True
        return False

    def _send(self, some: list[bytes]) -> bool:
        """Whether some had to be left unsent, and wait for room now; with the turn."""
        try:
            if len(some) == 1:
                self.transport.send(some[0])
            else:
                self.transport.send_many(some)
        except WouldBlock as error:
            self.sent += error.sent
            self._unsent = some[error.sent :]
            self.waiting = True
            self.transport.when_room(self._has_room)
            return True
        except Exception as error:
            self.sent += error.sent if isinstance(error, SendFailed) else 0
            self.fail(error)
        else:
            self.sent += len(some)
            self._unsent = []
        return False

    def _next(self, most: int) -> list[bytes]:
        """The next payloads, so many at most. Sees the end of an iterator, and a bad payload, as the end after them."""
        some: list[bytes] = []
        payloads = self._payloads
        try:
            # Keeps what came before a bad one.
            given = self._take_arrived() if payloads is None else payloads
            some.extend(as_payload(data, self._limit) for data in islice(given, most))
        except Exception as error:
            self._payloads = None
            self._arrived.clear()
            self._end = partial(self.fail, error)
        else:
            if payloads is not None and len(some) < most:
                self._payloads = None
                self._end = self._complete
        return some

    def _take_arrived(self) -> Iterator[Any]:
        with suppress(IndexError):
            while True:
                yield self._arrived.take()

    def _has_room(self) -> None:
        self.waiting = False
        self._turn.release()
        if self.pace is None or self._unsent:
            self.go_on(None if self.pace is None else 0)

    def _complete(self) -> None:
        if self._finish():
            self._observer.on_next(self.sent)
            self._observer.on_completed()

    def _finish(self) -> bool:
        """Let go of everything; whether it was not over before."""
        if not self._over.acquire(blocking=False):
            return False
        self.source.dispose()
        self.told.dispose()
        if self.pace is not None:
            self.pace.timer.dispose()
        self._arrived.clear()
        self._payloads = self._end = None
        self._unsent = []
        return True


class _Pace:
    """Has a transfer send at a steady rate, on a scheduler, and sleeps while there is nothing to send.

    Args:
        transfer: sends.
        rate: datagrams a second.
        scheduler: where.
    """

    def __init__(self, transfer: _Transfer, rate: float, scheduler: PeriodicScheduler) -> None:
        self._transfer = transfer
        self._rate = rate
        self._scheduler = scheduler
        self.timer = SerialDisposable()
        self._now = clock_of(scheduler)
        self._next = self._now()
        self._awake = Lock()  # acquired without waiting, for a signal handler may wake it too

    def wake(self) -> None:
        """See to it that there is a next tick."""
        if self._awake.acquire(blocking=False):
            now = self._now()
            self._next = max(self._next, now)  # time without anything to send is not made up for
            self._tick_in(self._next - now)

    def _tick_in(self, seconds: float) -> None:
        self.timer.disposable = timer = SingleAssignmentDisposable()  # in its place before it can run
        timer.disposable = self._scheduler.schedule_relative(max(0.0, seconds), self._tick)

    def _tick(self, _scheduler: object, _state: object) -> None:
        transfer = self._transfer
        if transfer.over:
            return
        if transfer.transport.closed:
            transfer.fail(ChannelClosed())
            return
        if transfer.waiting:
            self._tick_in(_SHORTEST_PAUSE)
            return
        now = self._now()
        since = max(self._next, now - _MOST_CREDIT)
        due = max(1, 1 + int((now - since) * self._rate + 1e-6))  # virtual clocks count whole microseconds
        before = transfer.sent
        transfer.go_on(due)
        self._next = since + (transfer.sent - before) / self._rate
        if transfer.pending or transfer.pulls or transfer.waiting:
            self._tick_in(max(self._next - now, _SHORTEST_PAUSE))
            return
        self._awake.release()
        if transfer.pending:  # arrived since it was looked at
            self.wake()
