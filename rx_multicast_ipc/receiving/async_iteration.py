"""The way out of Rx to ``async for``."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Generic, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import SerialDisposable
from reactivex.typing import OnCompleted, OnError, OnNext

from ..channel_scheduler import LoopScheduler
from ..validation.arguments import check_choice, check_count, check_observable, check_scheduler, check_subscriber
from ..validation.stream import Stream
from .bounded_queue import QUEUE_BYTES, BoundedQueue
from .overflow import Overflow, OverflowName

_T = TypeVar("_T")

_log = logging.getLogger("rx_multicast_ipc")


def to_async_iterable(
    source: Observable[_T],
    *,
    capacity: int = 1024,
    overflow: Overflow | OverflowName = Overflow.DROP_OLDEST,
    capacity_bytes: int = QUEUE_BYTES,
) -> AsyncIterable[_T]:
    """``async for`` over ``source``: each loop subscribes on its event loop, and disposes when it is left.

    Items that are lost because the loop's body is slower than ``source`` are logged, and counted in the statistics of
    the channel that they came from (``discarded``).

    Args:
        source: what to iterate over.
        capacity: items that wait for the loop's body; of ``batches``, their messages.
        overflow: what goes when they are too many.
        capacity_bytes: bytes that wait for it.

    Raises:
        InvalidOption: at once, for what is no Observable, a capacity under 1, or no Overflow.
        BufferOverflow: in the loop, with ``Overflow.ERROR``, after the items that did fit.
        Exception: in the loop, whatever ``source`` ended with.
    """
    check_observable("to_async_iterable() takes", source, "to_async_iterable(channel.messages)")
    check_count("capacity", capacity, "items")
    check_count("capacity_bytes", capacity_bytes, "bytes")
    return _Iterable(source, capacity, check_choice("overflow", overflow, Overflow), capacity_bytes)


class HotObservable(Stream[_T]):
    """A hot Observable that ``async for`` takes as it is: see :func:`to_async_iterable`, whose defaults hold."""

    def subscribe(
        self,
        on_next: ObserverBase[_T] | OnNext[_T] | None = None,
        on_error: OnError | None = None,
        on_completed: OnCompleted | None = None,
        *,
        scheduler: SchedulerBase | None = None,
    ) -> DisposableBase:
        """As every Observable's; what is no plain function, such as a coroutine function, is refused."""
        if not hasattr(on_next, "on_next"):
            check_subscriber(on_next, on_error, on_completed)
        if scheduler is not None:
            check_scheduler(scheduler)
        return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)

    def __aiter__(self) -> AsyncIterator[_T]:
        return aiter(to_async_iterable(self))


class _Iterable(AsyncIterable[_T]):
    def __init__(self, source: Observable[_T], capacity: int, overflow: Overflow, capacity_bytes: int) -> None:
        self._source = source
        self._capacity = capacity
        self._overflow = overflow
        self._capacity_bytes = capacity_bytes

    def __aiter__(self) -> _Iterator[_T]:
        items: BoundedQueue[_T] = BoundedQueue(self._capacity, self._overflow, capacity_bytes=self._capacity_bytes)
        reader = _Reader(asyncio.get_running_loop(), items)
        with items.counted_by_source():
            reader.subscription.disposable = self._source.subscribe(
                reader.put, reader.end, reader.end, scheduler=LoopScheduler(reader.loop)
            )
        return _Iterator(reader)


class _Reader(Generic[_T]):
    """What one loop reads: filled from any thread, emptied on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, items: BoundedQueue[_T]) -> None:
        self.loop = loop
        self.subscription = SerialDisposable()
        self._thread = threading.get_ident()
        self._items = items
        self._logged = 0
        self._ends: list[Exception | None] = []
        self._changed = asyncio.Event()

    def put(self, item: _T) -> None:
        if self._ends:
            return
        items = self._items
        if items.put(item) and items.overflow is Overflow.ERROR:
            self.subscription.dispose()
            self.end(items.overflow_error())
        else:
            self._notify()

    def end(self, error: Exception | None = None) -> None:
        self._ends.append(error)
        self._notify()

    async def get(self) -> _T:
        items = self._items
        while not items:
            if self._ends:
                raise self._ends[0] or StopAsyncIteration
            self._changed.clear()
            if not items and not self._ends:
                await self._changed.wait()
        lost = items.discarded - self._logged
        if lost:
            self._logged += lost
            _log.warning(
                "an async for loop is slower than its source and lost %d items (%s, capacity %d)",
                lost,
                items.overflow.value,
                items.capacity,
            )
        return items.take()

    def dispose(self) -> None:
        self.subscription.dispose()
        self.end()

    def _notify(self) -> None:
        if self.loop.is_closed():
            self.subscription.dispose()
            self._items.clear()
        elif threading.get_ident() == self._thread:
            self._changed.set()
        elif not self._changed.is_set():
            with suppress(RuntimeError):  # closed this very moment; the next item disposes
                self.loop.call_soon_threadsafe(self._changed.set)


class _Iterator(AsyncIterator[_T]):
    """Separate from its reader, which the source refers to, so that a loop that is left lets go of it."""

    def __init__(self, reader: _Reader[_T]) -> None:
        self._reader = reader

    async def __anext__(self) -> _T:
        try:
            return await self._reader.get()
        except BaseException:
            del self  # else the traceback would keep it, and with it the subscription
            raise

    async def aclose(self) -> None:
        """Dispose of the subscription; what is queued can still be taken."""
        self._reader.dispose()

    def __del__(self) -> None:
        # Not right here: the collector may come by while this very thread holds a lock that disposing wants.
        # A reader whose loop is gone disposes of itself when the next item comes.
        with suppress(RuntimeError):
            self._reader.loop.call_soon_threadsafe(self._reader.dispose)
