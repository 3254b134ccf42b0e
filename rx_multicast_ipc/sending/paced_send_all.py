"""Many payloads, one after the other: at once, as they come, or at a steady rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from threading import Lock
from typing import Any, Final

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..errors import ChannelClosed, InvalidPayload, SendFailed
from ..receiving.event_loop_delivery import at_home_of
from ..transport import Transport, WouldBlock
from ..validation.arguments import check_rate
from ..validation.payload import Payload, as_payload, is_series
from ..validation.stream import Stream

Payloads = Observable[Any] | Iterable[Payload]
"""Payloads to send: an Observable, or an iterable."""

_SHORTEST_PAUSE: Final = 0.001
"""Seconds: a faster rate sends several datagrams after each pause."""

_MOST_CREDIT: Final = 0.01
"""Seconds of being late that a paced transfer catches up with; what is beyond is not made up for."""

_CHUNK: Final = 256
"""Payloads of a sequence that are sent together."""

_MOST_STEPS: Final = 65_536
"""Payloads of an Observable that wait for room."""

_Step = Callable[[], None]


def send_all(
    transport: Transport, source: Payloads, rate: float | None, scheduler: PeriodicScheduler
) -> Observable[int]:
    """Cold: sends every payload of ``source`` to the group, in order, and emits how many were sent.

    Args:
        transport: sends them.
        source: payloads; its error ends the transfer, after what came before it.
        rate: datagrams a second; None for as fast as the source gives them.
        scheduler: runs the pauses.
    """
    if not isinstance(source, Observable) and not is_series(source):
        raise InvalidPayload("broadcast_all() takes an iterable or Observable of payloads; broadcast() sends one")
    check_rate(rate)

    def subscribe(observer: ObserverBase[int], given: SchedulerBase | None = None) -> DisposableBase:
        transfer = _Transfer(transport, at_home_of(given, observer))
        if rate is not None:
            return _Pace(transfer, rate, scheduler).begin(source, given)
        if isinstance(source, Observable):
            transfer.source.disposable = source.subscribe(
                transfer.push, transfer.fail, transfer.finish, scheduler=given
            )
        else:
            # An iterator may wait for the answer to what it gave before: only a sequence is taken many at a time.
            transfer.pull(iter(source), _CHUNK if isinstance(source, Sequence) else 1)
        return transfer.source

    return Stream(subscribe)


class _Transfer:
    """One subscription: sends, counts, and tells its observer how it ended.

    It does one step at a time, in order, on the thread that asks for it; but while another thread is at it, or it waits
    for room, the step waits for its turn.
    """

    def __init__(self, transport: Transport, observer: ObserverBase[int]) -> None:
        self.transport = transport
        self._send = transport.send
        self._observer = observer
        self._limit = transport.payload_limit
        self.source = SerialDisposable()
        self.sent = 0
        self.waiting = False
        self._lock = Lock()
        self._busy = False
        self._steps: deque[_Step] = deque()
        self._again: _Step | None = None

    @property
    def over(self) -> bool:
        return self.source.is_disposed

    def push(self, data: Payload) -> None:
        """Send one."""
        if len(self._steps) < _MOST_STEPS:
            self._do(partial(self._push, data))
        elif not self.over:
            self.source.dispose()
            error = SendFailed(
                f"{_MOST_STEPS} payloads wait for room to be sent: the link is slower than their source; pass rate=, "
                "or thin the source out"
            )
            error.sent = self.sent
            self._observer.on_error(error)

    def pull(self, payloads: Iterator[Payload], chunk: int) -> None:
        """Send all that the iterator gives, so many at a time."""
        self._do(partial(self._pull, payloads, chunk))

    def pull_some(self, payloads: Iterator[Payload], most: int) -> None:
        """Send the next ones together; end where the iterator does."""
        self._do(partial(self._pull_some, payloads, most))

    def finish(self) -> None:
        self._do(self._finish)

    def fail(self, error: Exception) -> None:
        self._do(partial(self._fail, error))

    def _do(self, step: _Step) -> None:
        with self._lock:
            if self._busy:
                self._steps.append(step)
                return
            self._busy = True
        self._run(step)

    def _run(self, step: _Step | None) -> None:
        while step is not None:
            try:
                step()
            except BaseException:
                with self._lock:
                    self._busy = False
                raise
            step = self._next_step()

    def _next_step(self) -> _Step | None:
        with self._lock:
            if self._again is None:
                if self._steps and not self.over:
                    return self._steps.popleft()
                self._steps.clear()
                self._busy = False
                return None
            self._steps.appendleft(self._again)
            self._again = None
        self.waiting = True
        self.transport.when_room(self._go_on)
        return None

    def _go_on(self) -> None:
        self.waiting = False
        self._run(self._next_step())

    def _push(self, data: Payload) -> None:
        if self.source.is_disposed:
            return  # a source that does not listen when it is told to stop
        try:
            self._send(as_payload(data, self._limit))
        except WouldBlock:
            self._again = partial(self._push, data)
        except Exception as error:
            self._fail(error)
        else:
            self.sent += 1

    def _pull(self, payloads: Iterator[Payload], chunk: int) -> None:
        while not self.over and self._again is None:
            self._pull_some(payloads, chunk)
        if not self.over:
            with self._lock:
                self._steps.appendleft(partial(self._pull, payloads, chunk))

    def _pull_some(self, payloads: Iterator[Payload], most: int) -> None:
        some: list[bytes] = []
        end: _Step | None = None
        try:
            # Keeps what came before a bad one.
            some.extend(as_payload(data, self._limit) for data in islice(payloads, most))
        except Exception as error:
            end = partial(self._fail, error)
        else:
            if len(some) < most:
                end = self._finish
        self._send_some(some, end)

    def _send_some(self, some: list[bytes], end: _Step | None) -> None:
        try:
            if some:
                self.transport.send_many(some)
        except WouldBlock as error:
            self.sent += error.sent
            self._again = partial(self._send_some, some[error.sent :], end)
            return
        except Exception as error:
            self.sent += error.sent if isinstance(error, SendFailed) else 0
            end = partial(self._fail, error)
        else:
            self.sent += len(some)
        if end is not None:
            end()

    def _finish(self) -> None:
        if not self.over:
            self.source.dispose()
            self._observer.on_next(self.sent)
            self._observer.on_completed()

    def _fail(self, error: Exception) -> None:
        if not self.over:
            self.source.dispose()
            if isinstance(error, SendFailed):
                error.sent = self.sent
            self._observer.on_error(error)


class _Pace:
    """Sends at a steady rate on a scheduler, and sleeps while there is nothing to send.

    Args:
        transfer: sends.
        rate: datagrams a second.
        scheduler: where.
    """

    def __init__(self, transfer: _Transfer, rate: float, scheduler: PeriodicScheduler) -> None:
        self._transfer = transfer
        self._rate = rate
        self._scheduler = scheduler
        self._next = self._now()
        self._arrived: deque[Any] = deque()
        self._payloads: Iterator[Any] | None = None
        self._end: Callable[[], None] | None = None
        self._lock = Lock()
        self._ticking = False
        self._disposed = False

    def begin(self, source: Payloads, given: SchedulerBase | None) -> DisposableBase:
        if isinstance(source, Observable):
            self._transfer.source.disposable = source.subscribe(
                self._arrive,
                lambda error: self._ended(partial(self._transfer.fail, error)),
                lambda: self._ended(self._transfer.finish),
                scheduler=given,
            )
        else:
            self._payloads = iter(source)
            self._tick_soon()
        return CompositeDisposable(self._transfer.source, Disposable(self._dispose))

    def _arrive(self, data: Any) -> None:
        self._arrived.append(data)
        self._tick_soon()

    def _ended(self, end: Callable[[], None]) -> None:
        self._end = end
        self._tick_soon()

    def _tick_soon(self) -> None:
        with self._lock:
            if self._ticking:
                return
            self._ticking = True
            now = self._now()
            self._next = max(self._next, now)  # time without anything to send is not made up for
        self._tick_in(self._next - now)

    def _tick_in(self, seconds: float) -> None:
        self._scheduler.schedule_relative(max(0.0, seconds), self._tick)

    def _tick(self, _scheduler: object, _state: object) -> None:
        transfer = self._transfer
        if self._disposed or transfer.over:
            return
        if transfer.transport.closed:
            transfer.fail(ChannelClosed())
            return
        if transfer.waiting:
            self._tick_in(_SHORTEST_PAUSE)
            return
        now = self._now()
        since = max(self._next, now - _MOST_CREDIT)
        due = 1 + int((now - since) * self._rate + 1e-6)  # virtual clocks count whole microseconds
        before = transfer.sent
        if self._payloads is not None:
            transfer.pull_some(self._payloads, due)
        else:
            some = [self._arrived.popleft() for _ in range(min(due, len(self._arrived)))]
            transfer.pull_some(iter(some), len(some))
            if not self._arrived and self._end is not None:
                self._end()
        self._next = since + (transfer.sent - before) / self._rate
        if transfer.over:
            return
        if self._payloads is None:
            with self._lock:
                self._ticking = bool(self._arrived or self._end)
            if not self._ticking:
                return
        self._tick_in(max(self._next - now, _SHORTEST_PAUSE))

    def _now(self) -> float:
        return self._scheduler.to_seconds(self._scheduler.now)

    def _dispose(self) -> None:
        self._disposed = True
