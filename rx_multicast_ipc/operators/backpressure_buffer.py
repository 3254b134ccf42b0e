"""A bounded queue between a source and a slow subscriber."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import repeat, starmap
from queue import SimpleQueue
from threading import RLock
from typing import Any, Final, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import SerialDisposable
from reactivex.internal.exceptions import DisposedException

from ..channel_scheduler import DeliveringScheduler
from ..receiving.batch_end import at_end_of_batch
from ..receiving.bounded_queue import QUEUE_BYTES, BoundedQueue
from ..receiving.hot_source import HotSource
from ..receiving.overflow import Overflow, OverflowName
from ..subscribing.start_thread import start_thread
from ..subscribing.subscriber_errors import detach, is_for_the_caller, report
from ..validation.arguments import check_callable, check_choice, check_count, check_observable
from ..validation.stream import Stream

_T = TypeVar("_T")

_MOST_AT_ONCE: Final = 1024
"""Items that are taken out together, if that is a 64th of the capacity at most: they are on their way then."""

_PART: Final = 64

_MOST_GATHERED: Final = 256
"""Items that are queued together, or as many as the capacity, if that is less."""


def on_backpressure_buffer(
    capacity: int,
    overflow: Overflow | OverflowName = Overflow.DROP_OLDEST,
    *,
    scheduler: SchedulerBase | None = None,
    on_overflow: Callable[[Any], None] | None = None,
    capacity_bytes: int = QUEUE_BYTES,
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Deliver elsewhere, through a bounded queue: a slow subscriber no longer holds up the source.

    What is lost is counted in the statistics of the channel that it came from (``discarded``).

    Args:
        capacity: items that wait for the subscriber, beside a 64th of them that are being delivered, and 256, or as
            many as it, of the batch that arrives; of ``batches``, their messages.
        overflow: what goes when they are too many.
        scheduler: where the subscriber runs. If None: the subscription's scheduler (``run`` brings the
            calling thread, ``await`` its loop), or else, and in ``with_socket``, one thread for the subscription.
        on_overflow: called with each item that is dropped, on the source's thread.
        capacity_bytes: bytes that wait for the subscriber.

    Raises:
        InvalidOption: at once, for a capacity under 1, no Overflow, or no function.
        BufferOverflow: from the Observable, with ``Overflow.ERROR``, after what is queued.
    """
    check_count("capacity", capacity, "items")
    check_count("capacity_bytes", capacity_bytes, "bytes")
    policy = check_choice("overflow", overflow, Overflow)
    if on_overflow is not None:
        check_callable("on_overflow", on_overflow, ("the item that is dropped",), "on_overflow=print")

    def operator(source: Observable[_T]) -> Observable[_T]:
        check_observable("on_backpressure_buffer() is applied to", source, "stream.pipe(on_backpressure_buffer(100))")

        def subscribe(observer: ObserverBase[_T], given: SchedulerBase | None = None) -> DisposableBase:
            where = scheduler or given
            if where is None or (scheduler is None and isinstance(where, DeliveringScheduler)):
                where = None  # the thread that reads is no way out
            queue: BoundedQueue[_T] = BoundedQueue(capacity, policy, capacity_bytes=capacity_bytes)
            buffer = _Buffer(observer, where, queue, on_overflow)
            with queue.counted_by_source():
                fed: Observable[Any] = source
                put: Callable[[Any], None] = buffer.put
                if isinstance(source, HotSource) and source.batches is not None:  # the same items, many at a time
                    fed, put = source.batches, buffer.put_all
                buffer.source.disposable = fed.subscribe(put, buffer.end, buffer.end, scheduler=given)
            return buffer

        return Stream(subscribe)

    return operator


class _Buffer(DisposableBase):
    """Filled on the source's thread, emptied on a scheduler or a thread of its own, one drain at a time.

    How this works. While a drain is under way, the items of a batch are gathered: to queue many together costs less.
    They are queued at the end of the batch, and a drain that has emptied the queue takes them from where they are, so
    that none waits for a slow neighbour, who is called between two items. An item is gathered before it is looked
    whether there is a drain, and a drain has ended before it looks for what was gathered; so none is overlooked.
    """

    def __init__(
        self,
        observer: ObserverBase[Any],
        scheduler: SchedulerBase | None,
        items: BoundedQueue[Any],
        on_overflow: Callable[[Any], None] | None,
    ) -> None:
        self._observer = observer
        self._items = items
        self._on_overflow = on_overflow
        self._ends: list[Callable[[], None]] = []
        self._most_at_once = max(1, min(_MOST_AT_ONCE, items.capacity // _PART))
        self._gate = RLock()  # a signal handler may be the source while its thread is
        self._gathered: deque[Any] = deque()
        self._most_gathered = min(_MOST_GATHERED, items.capacity)
        self._drain: object = None
        """The one that is to come or under way; None if there is none."""
        self._disposed = False
        self.source = SerialDisposable()
        self._thread = _DrainThread(self) if scheduler is None else None
        self._scheduler = scheduler

    def put(self, item: Any) -> None:
        """Queue ``item``, at once or together with those that follow in the batch that is being delivered."""
        if self._ends or self._disposed:
            return
        gathered = self._gathered  # without the lock: this is done for every item
        is_first = not gathered
        gathered.append(item)
        if (
            self._drain is None
            or len(gathered) >= self._most_gathered
            or (is_first and not at_end_of_batch(self._end_batch))
        ):
            self._queue_gathered()

    def put_all(self, items: Sequence[Any]) -> None:
        if not self._ends and not self._disposed:
            self._go_on(self._items.put_all(items))

    def _end_batch(self) -> None:
        """Queue what was gathered. An ``on_overflow`` that raises ends this subscription, as it does amid a batch."""
        try:
            self._queue_gathered()
        except BaseException as error:
            if is_for_the_caller(error):
                raise
            self.source.dispose()
            detach(self.end, error)

    def _queue_gathered(self) -> None:
        with self._gate:  # and no longer: what is lost is told to the caller's function
            gathered = self._take_from_gathered(len(self._gathered))
            if not gathered or self._disposed:
                return
            lost = self._items.put_all(gathered) if len(gathered) > 1 else self._items.put(gathered[0])
        self._go_on(lost)

    def _go_on(self, lost: Sequence[Any]) -> None:
        try:
            if self._on_overflow is not None:
                for one in lost:
                    self._on_overflow(one)
        finally:
            if lost and self._items.overflow is Overflow.ERROR:
                self.source.dispose()
                self.end(self._items.overflow_error())
            else:
                self._drain_later()

    def end(self, error: Exception | None = None) -> None:
        self._queue_gathered()
        observer = self._observer
        self._ends.append(observer.on_completed if error is None else lambda: observer.on_error(error))
        self._drain_later()

    def dispose(self) -> None:
        self._disposed = True
        self.source.dispose()
        self._items.clear()
        self._gathered.clear()
        if self._thread is not None:
            self._thread.end()

    def _drain_later(self) -> None:
        if self._drain is not None or self._disposed:
            return
        drain = object()
        try:
            with self._gate:
                if self._drain is None:
                    self._drain = drain
            if self._drain is drain:
                self._schedule(partial(self._run, drain))
        except DisposedException:  # a scheduler that is gone runs nothing more
            self.dispose()
        except BaseException:  # of a signal handler: the next item has another one come
            if self._drain is drain:
                self._drain = None
            raise

    def _schedule(self, action: Callable[[], None]) -> None:
        if self._thread is not None:
            self._thread.run(action)
        elif self._scheduler is not None:
            self._scheduler.schedule(lambda _scheduler, _state: action())

    def _run(self, drain: object) -> None:
        runs = object()
        try:
            with self._gate:
                if self._drain is drain:
                    self._drain = runs
            if self._drain is not runs:
                return  # a signal handler raised as it was scheduled, and another one is to come
            self._deliver()
        except BaseException as error:
            self.dispose()
            detach(self._observer.on_error, error)
        finally:
            if self._drain is runs:
                self._drain = None
        if self._items or self._gathered or self._ends:  # came since it was looked at
            self._drain_later()

    def _deliver(self) -> None:
        items, on_next = self._items, self._observer.on_next
        while not self._disposed:
            ends = self._ends  # looked at first: what was queued before the end is queued by now
            ended = bool(ends)
            some = items.take_some(self._most_at_once) or self._take_gathered()
            if not some:
                if ended:
                    self.dispose()
                    ends[0]()
                return
            for item in some:
                if self._disposed:
                    return
                on_next(item)

    def _take_gathered(self) -> list[Any]:
        """What follows an empty queue."""
        if not self._gathered:
            return []
        with self._gate:
            # or what was queued meanwhile
            return self._items.take_some(self._most_at_once) or self._take_from_gathered(self._most_at_once)

    def _take_from_gathered(self, most: int) -> list[Any]:
        """The oldest of them, which then are nowhere else; with the lock held."""
        some: list[Any] = []
        with suppress(IndexError):  # there are no more
            some.extend(starmap(self._gathered.popleft, repeat((), most)))
        return some


class _DrainThread:
    """A thread that runs what is scheduled, until it is ended or its buffer is garbage."""

    def __init__(self, buffer: _Buffer) -> None:
        self._actions: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        weakref.finalize(buffer, self._actions.put, None).atexit = False
        start_thread(_run, self._actions, name="on_backpressure_buffer")

    def run(self, action: Callable[[], None]) -> None:
        self._actions.put(action)

    def end(self) -> None:
        self._actions.put(None)


def _run(actions: SimpleQueue[Callable[[], None] | None]) -> None:
    while (action := actions.get()) is not None:
        try:
            action()
        except BaseException as error:  # sys.exit() in the subscriber, which is detached
            report(error)
        del action  # else it would keep the buffer while it waits for the next one
