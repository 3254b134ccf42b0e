"""Ways out of Rx: to blocking code and to asyncio."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Generic, TypeVar

from reactivex import Observable
from reactivex.disposable import SerialDisposable
from reactivex.internal.exceptions import SequenceContainsNoElementsError
from reactivex.scheduler.eventloop import AsyncIOScheduler

from .channel_scheduler import TimerScheduler
from .errors import BufferOverflow, MessageTimeout, WouldDeadlock
from .receiving.overflow import Overflow
from .subscriber_errors import on_delivering_thread
from .validation.arguments import check_choice, check_count, check_observable, check_timeout

_T = TypeVar("_T")

_log = logging.getLogger("rx_multicast_ipc")

_INTERRUPT_CHECK = 0.5
"""Seconds: Windows notices Ctrl-C only between two waits."""


def run(source: Observable[_T], *, timeout: float | None = None) -> _T:
    """Subscribe, block until ``source`` ends, and return its last value.

    It starts no thread: timers of operators in ``source`` run on the calling thread. Ctrl-C and a time-out
    dispose of the subscription; an interrupt while ``source`` is still being subscribed to leaves what it set
    up so far to the end of the interpreter.

    Args:
        source: what to wait for.
        timeout: seconds; None waits for ever.

    Raises:
        InvalidOption: at once, for what is no Observable.
        MessageTimeout: ``source`` did not end in time.
        WouldDeadlock: called by a subscriber on a channel's delivering thread, which would wait for itself.
        reactivex.internal.SequenceContainsNoElementsError: ``source`` ended without a value.
        Exception: whatever ``source`` ended with.
    """
    check_observable("run() takes", source, 'run(channel.broadcast("x")), or run(channel.wait_for_message())')
    timeout = check_timeout(timeout)
    if on_delivering_thread():
        raise WouldDeadlock(
            "run() in a subscriber would wait for the thread that it blocks; "
            "return the Observable from flat_map instead, or deliver elsewhere with ops.observe_on"
        )
    changed = threading.Event()
    values: deque[_T] = deque(maxlen=1)
    ends: list[Exception | None] = []

    def end(error: Exception | None = None) -> None:
        ends.append(error)
        changed.set()

    scheduler = TimerScheduler(changed.set)
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    subscription = source.subscribe(values.append, end, end, scheduler=scheduler)
    try:
        while not ends:
            changed.clear()  # first, so that what happens from here on ends the wait
            scheduler.run_due(time.monotonic())
            pause = scheduler.until_next()
            left = deadline - time.monotonic()
            if left <= 0:
                subscription.dispose()  # first: what it had delivered by then still counts
            if timeout is not None and left <= 0 and not ends:
                raise MessageTimeout(timeout, "end of the Observable")
            if not ends:
                changed.wait(min(left, _INTERRUPT_CHECK, _INTERRUPT_CHECK if pause is None else pause))
    finally:
        subscription.dispose()
    error = ends[0]
    if error is not None:
        raise error
    if not values:
        raise SequenceContainsNoElementsError("the Observable completed without a value")
    return values[0]


def to_async_iterable(
    source: Observable[_T], *, capacity: int = 1024, overflow: Overflow = Overflow.DROP_OLDEST
) -> AsyncIterable[_T]:
    """``async for`` over ``source``: each loop subscribes on its event loop, and disposes when it is left.

    Items that are lost because the loop's body is slower than ``source`` are logged.

    Args:
        source: what to iterate over.
        capacity: items that wait for the loop's body.
        overflow: what goes when they are too many.

    Raises:
        InvalidOption: at once, for what is no Observable, a capacity under 1, or no Overflow.
        BufferOverflow: in the loop, with ``Overflow.ERROR``, after the items that did fit.
        Exception: in the loop, whatever ``source`` ended with.
    """
    check_observable("to_async_iterable() takes", source, "to_async_iterable(channel.messages)")
    check_count("capacity", capacity, "items")
    return _Iterable(source, capacity, check_choice("overflow", overflow, Overflow))


class _Iterable(AsyncIterable[_T]):
    def __init__(self, source: Observable[_T], capacity: int, overflow: Overflow) -> None:
        self._source = source
        self._capacity = capacity
        self._overflow = overflow

    def __aiter__(self) -> _Iterator[_T]:
        queue: _Queue[_T] = _Queue(asyncio.get_running_loop(), self._capacity, self._overflow)
        queue.subscription.disposable = self._source.subscribe(
            queue.put, queue.end, queue.end, scheduler=AsyncIOScheduler(queue.loop)
        )
        return _Iterator(queue)


class _Queue(Generic[_T]):
    """Filled from any thread, emptied on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, capacity: int, overflow: Overflow) -> None:
        self.loop = loop
        self.subscription = SerialDisposable()
        self._thread = threading.get_ident()
        self._capacity = capacity
        self._overflow = overflow
        self._items: deque[_T] = deque()
        self._dropped = 0
        self._ends: list[Exception | None] = []
        self._changed = asyncio.Event()

    def put(self, item: _T) -> None:
        if self._ends:
            return
        if len(self._items) >= self._capacity:
            if self._overflow is Overflow.ERROR:
                self.subscription.dispose()
                self.end(BufferOverflow(self._capacity))
                return
            self._dropped += 1
            if self._overflow is Overflow.DROP_LATEST:
                return
            with suppress(IndexError):  # the loop took it this very moment
                self._items.popleft()
        self._items.append(item)
        self._notify()

    def end(self, error: Exception | None = None) -> None:
        self._ends.append(error)
        self._notify()

    async def get(self) -> _T:
        while not self._items:
            if self._ends:
                raise self._ends[0] or StopAsyncIteration
            self._changed.clear()
            if not self._items and not self._ends:
                await self._changed.wait()
        if self._dropped:
            _log.warning(
                "an async for loop is slower than its source and lost %d items (%s, capacity %d)",
                self._dropped,
                self._overflow.value,
                self._capacity,
            )
            self._dropped = 0
        return self._items.popleft()

    def dispose(self) -> None:
        self.subscription.dispose()
        self.end()

    def _notify(self) -> None:
        if threading.get_ident() == self._thread:
            self._changed.set()
        elif self.loop.is_closed():
            self.subscription.dispose()
        elif not self._changed.is_set():
            self.loop.call_soon_threadsafe(self._changed.set)


class _Iterator(AsyncIterator[_T]):
    """Separate from its queue, which the source refers to, so that a loop that is left lets go of it."""

    def __init__(self, queue: _Queue[_T]) -> None:
        self._queue = queue

    async def __anext__(self) -> _T:
        try:
            return await self._queue.get()
        except BaseException:
            del self  # else the traceback would keep it, and with it the subscription
            raise

    async def aclose(self) -> None:
        """Dispose of the subscription; what is queued can still be taken."""
        self._queue.dispose()

    def __del__(self) -> None:
        # Not right here: the collector may come by while this very thread holds a lock that disposing wants.
        # A queue whose loop is gone disposes of itself when the next item comes.
        with suppress(RuntimeError):
            self._queue.loop.call_soon_threadsafe(self._queue.dispose)
