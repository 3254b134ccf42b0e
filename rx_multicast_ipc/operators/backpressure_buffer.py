"""A bounded queue between a source and a slow subscriber."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.internal.exceptions import DisposedException
from reactivex.scheduler import EventLoopScheduler

from ..channel_scheduler import DeliveringScheduler
from ..errors import BufferOverflow
from ..receiving.overflow import Overflow
from ..subscriber_errors import detach
from ..validation.arguments import check_callable, check_choice, check_count, check_observable
from ..validation.stream import Stream

_T = TypeVar("_T")


def on_backpressure_buffer(
    capacity: int,
    overflow: Overflow = Overflow.DROP_OLDEST,
    *,
    scheduler: SchedulerBase | None = None,
    on_overflow: Callable[[Any], None] | None = None,
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Deliver elsewhere, through a bounded queue: a slow subscriber no longer holds up the source.

    Args:
        capacity: items that wait for the subscriber.
        overflow: what goes when they are too many.
        scheduler: where the subscriber runs. If None: the subscription's scheduler (``run`` brings the
            calling thread, ``await`` its loop), or else, and in ``with_socket``, one thread for the subscription.
        on_overflow: called with each item that is dropped, on the source's thread.

    Raises:
        InvalidOption: at once, for a capacity under 1, no Overflow, or no function.
        BufferOverflow: from the Observable, with ``Overflow.ERROR``, after what is queued.
    """
    check_count("capacity", capacity, "items")
    policy = check_choice("overflow", overflow, Overflow)
    if on_overflow is not None:
        check_callable("on_overflow", on_overflow, ("the item that is dropped",), "on_overflow=print")

    def operator(source: Observable[_T]) -> Observable[_T]:
        check_observable("on_backpressure_buffer() is applied to", source, "stream.pipe(on_backpressure_buffer(100))")

        def subscribe(observer: ObserverBase[_T], given: SchedulerBase | None = None) -> DisposableBase:
            own: EventLoopScheduler | None = None
            where = scheduler or given
            if where is None or (scheduler is None and isinstance(where, DeliveringScheduler)):
                where = own = EventLoopScheduler()  # the thread that reads is no way out
            queue = _BoundedQueue(observer, where, capacity, policy, on_overflow)
            queue.source.disposable = source.subscribe(queue.put, queue.end, queue.end, scheduler=given)
            return CompositeDisposable(queue.source, queue.drains, Disposable(own.dispose if own else None))

        return Stream(subscribe)

    return operator


class _BoundedQueue:
    """Filled on the source's thread, emptied on a scheduler, one drain at a time."""

    def __init__(
        self,
        observer: ObserverBase[Any],
        scheduler: SchedulerBase,
        capacity: int,
        overflow: Overflow,
        on_overflow: Callable[[Any], None] | None,
    ) -> None:
        self._observer = observer
        self._scheduler = scheduler
        self._capacity = capacity
        self._overflow = overflow
        self._on_overflow = on_overflow
        self._lock = Lock()
        self._items: deque[Any] = deque()
        self._end: Callable[[], None] | None = None
        self._draining = False
        self.source = SerialDisposable()
        self.drains = SerialDisposable()

    def put(self, item: Any) -> None:
        dropped: list[Any] = []
        with self._lock:
            if self._end is not None:
                return
            if len(self._items) < self._capacity:
                self._items.append(item)
            elif self._overflow is Overflow.DROP_OLDEST:
                dropped.append(self._items.popleft())
                self._items.append(item)
            else:
                dropped.append(item)
        if dropped and self._on_overflow is not None:
            self._on_overflow(dropped[0])
        if dropped and self._overflow is Overflow.ERROR:
            self.source.dispose()
            self.end(BufferOverflow(self._capacity))
        else:
            self._drain_later()

    def end(self, error: Exception | None = None) -> None:
        observer = self._observer
        with self._lock:
            if self._end is None:
                self._end = observer.on_completed if error is None else lambda: observer.on_error(error)
        self._drain_later()

    def _drain_later(self) -> None:
        with self._lock:
            if self._draining or self.drains.is_disposed:
                return
            self._draining = True
        with suppress(DisposedException):  # it was disposed of this very moment
            self.drains.disposable = self._scheduler.schedule(self._drain)

    def _drain(self, _scheduler: object, _state: object) -> None:
        while not self.drains.is_disposed:
            with self._lock:
                if not self._items:
                    end = self._end
                    self._draining = end is not None
                    break
                item = self._items.popleft()
            try:
                self._observer.on_next(item)
            except Exception as error:
                self.source.dispose()
                detach(self._observer.on_error, error)
                return
        else:
            return
        if end is not None:
            end()
