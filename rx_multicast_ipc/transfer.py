"""Many payloads, one after the other: at once, as they come, or at a steady rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from math import inf
from typing import Any, Final

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from .errors import InvalidOption, InvalidPayload, SendFailed
from .group import Payload, as_payload
from .hop import at_home_of
from .transport import Transport

Payloads = Observable[Any] | Iterable[Payload]
"""Payloads to send: an Observable, or an iterable."""

_SHORTEST_PAUSE: Final = 0.001
"""Seconds: a faster rate sends several datagrams after each pause."""

_CHUNK: Final = 256
"""Payloads taken from an iterable before they are sent."""


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
    if isinstance(source, str | bytes | bytearray | memoryview) or not isinstance(source, Observable | Iterable):
        raise InvalidPayload("broadcast_all() takes an iterable or Observable of payloads; broadcast() sends one")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0):
        raise InvalidOption(f"rate is a number of messages a second, more than 0, not {rate!r}")

    def subscribe(observer: ObserverBase[int], given: SchedulerBase | None = None) -> DisposableBase:
        transfer = _Transfer(transport, at_home_of(given, observer))
        if rate is not None:
            return _pace(transfer, source, rate, scheduler)
        if isinstance(source, Observable):
            transfer.source.disposable = source.subscribe(
                transfer.push, transfer.fail, transfer.finish, scheduler=given
            )
        else:
            transfer.pull(iter(source))
        return transfer.source

    return Observable(subscribe)


class _Transfer:
    """One subscription: sends, counts, and tells its observer how it ended."""

    def __init__(self, transport: Transport, observer: ObserverBase[int]) -> None:
        self._transport = transport
        self._observer = observer
        self._limit = transport.group.payload_limit
        self.source = SerialDisposable()
        self.sent = 0

    def push(self, data: Payload) -> None:
        """Send one."""
        try:
            self._transport.send(as_payload(data, self._limit))
        except Exception as error:
            self.fail(error)
        else:
            self.sent += 1

    def pull(self, payloads: Iterator[Payload], most: float = inf) -> None:
        """Send what the iterator gives, many at a time, until ``most`` were sent in all."""
        end: Callable[[], None] | None = None
        while end is None and self.sent < most and not self.source.is_disposed:
            chunk: list[bytes] = []
            try:
                some = islice(payloads, int(min(_CHUNK, most - self.sent)))
                chunk.extend(as_payload(data, self._limit) for data in some)  # keeps what came before a bad one
            except Exception as error:
                end = partial(self.fail, error)
            else:
                if not chunk:
                    end = self.finish
            try:
                self._transport.send_many(chunk)
            except Exception as error:
                end = partial(self.fail, error)
                self.sent += error.sent if isinstance(error, SendFailed) else 0
            else:
                self.sent += len(chunk)
        if end is not None:
            end()

    def finish(self) -> None:
        self.source.dispose()
        self._observer.on_next(self.sent)
        self._observer.on_completed()

    def fail(self, error: Exception) -> None:
        self.source.dispose()
        if isinstance(error, SendFailed):
            error.sent = self.sent
        self._observer.on_error(error)


def _pace(transfer: _Transfer, source: Payloads, rate: float, scheduler: PeriodicScheduler) -> DisposableBase:
    queue = _Queue(source)
    pause = max(_SHORTEST_PAUSE, 1 / rate)
    started = scheduler.now
    timer = SerialDisposable()

    def tick(_scheduler: object, _state: object) -> None:
        elapsed = (scheduler.now - started).total_seconds()
        due = 1 + int(elapsed * rate + 1e-6)  # virtual clocks count whole microseconds
        transfer.pull(queue, due if queue.exhausting else min(due, transfer.sent + len(queue)))
        if not transfer.source.is_disposed:
            timer.disposable = scheduler.schedule_relative(pause, tick)

    first = scheduler.schedule(tick)  # not in timer: on its own thread it may have set that already
    return CompositeDisposable(transfer.source, first, timer, Disposable(queue.dispose))


class _Queue(Iterator[Any]):
    """What an iterable gives, or what an Observable gave so far, to be taken one by one."""

    def __init__(self, source: Payloads) -> None:
        self._items: deque[Any] = deque()
        self._error: Exception | None = None
        self.exhausting = not isinstance(source, Observable)
        """Whether the end is reached by taking; else more may come by itself."""
        self._iterator: Iterator[Any] = iter(()) if isinstance(source, Observable) else iter(source)
        self._subscription: DisposableBase = Disposable()
        if isinstance(source, Observable):
            self._subscription = source.subscribe(self._items.append, self._end, self._end)

    def __len__(self) -> int:
        return len(self._items)

    def __next__(self) -> Any:
        if self._items:
            return self._items.popleft()
        if self._error is not None:
            raise self._error
        return next(self._iterator)

    def dispose(self) -> None:
        self._subscription.dispose()

    def _end(self, error: Exception | None = None) -> None:
        self._error = error
        self.exhausting = True
