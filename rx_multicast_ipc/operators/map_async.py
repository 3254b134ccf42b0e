"""Coroutines for the items of a stream: on the subscriber's event loop, so many at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import get_ident
from typing import Final, Generic, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.scheduler.eventloop import AsyncIOThreadSafeScheduler

from ..channel_scheduler import LoopScheduler
from ..errors import InvalidOption
from ..receiving.bounded_queue import QUEUE_BYTES, BoundedQueue
from ..receiving.event_loop_delivery import loop_of
from ..receiving.overflow import Overflow, OverflowName
from ..subscribing.subscriber_errors import detach
from ..validation.arguments import check_choice, check_count, check_observable, shown
from ..validation.stream import Stream

_T = TypeVar("_T")
_R = TypeVar("_R")

CAPACITY: Final = 1024

_log = logging.getLogger("rx_multicast_ipc")


def map_async(
    handler: Callable[[_T], Awaitable[_R]],
    max_concurrent: int = 1,
    *,
    capacity: int = CAPACITY,
    overflow: Overflow | OverflowName = Overflow.DROP_OLDEST,
    capacity_bytes: int = QUEUE_BYTES,
) -> Callable[[Observable[_T]], Observable[_R]]:
    """Each item's result of a coroutine function, which runs on the subscriber's event loop.

    Results come in the order in which handlers end; one at a time, as is the default, that is the order of the source.
    What arrives while ``max_concurrent`` handlers run waits for its turn; losses because too much waits are logged,
    and counted in the statistics of the channel that the messages came from (``discarded``).
    Disposing cancels the handlers that run. A handler that raises ends the stream, and cancels the others.

    Args:
        handler: takes an item; a coroutine function.
        max_concurrent: handlers that run at the same time.
        capacity: items that wait for their turn.
        overflow: what goes when they are too many.
        capacity_bytes: bytes that wait for it.

    Raises:
        InvalidOption: at once, for what is no coroutine function or no number; at the subscription, if it has no event
            loop: subscribe inside a coroutine, or pass ``scheduler=AsyncIOScheduler(loop)``.
        BufferOverflow: from the Observable, with ``Overflow.ERROR``.
        Exception: from the Observable, whatever a handler raised.
    """
    if not callable(handler):
        raise InvalidOption(f"map_async takes a coroutine function (async def), not {shown(handler)}")
    check_count("max_concurrent", max_concurrent, "handlers")
    check_count("capacity", capacity, "items")
    check_count("capacity_bytes", capacity_bytes, "bytes")
    policy = check_choice("overflow", overflow, Overflow)

    def operator(source: Observable[_T]) -> Observable[_R]:
        check_observable("map_async() is applied to", source, "stream.pipe(map_async(handler))")

        def subscribe(observer: ObserverBase[_R], scheduler: SchedulerBase | None = None) -> DisposableBase:
            loop = loop_of(scheduler) or _running_loop()
            where = LoopScheduler(loop) if _is_running_here(loop) else AsyncIOThreadSafeScheduler(loop)
            waiting: BoundedQueue[_T] = BoundedQueue(capacity, policy, capacity_bytes=capacity_bytes)
            handlers: _Handlers[_T, _R] = _Handlers(handler, observer, loop, max_concurrent, waiting)
            with waiting.counted_by_source():
                handlers.source.disposable = source.subscribe(
                    handlers.put, handlers.source_ended, handlers.source_ended, scheduler=where
                )
            return CompositeDisposable(handlers.source, Disposable(handlers.dispose))

        return Stream(subscribe)

    return operator


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise InvalidOption(
            "map_async runs its coroutines on the subscriber's event loop, and there is none here; subscribe or await "
            "inside a coroutine, or pass scheduler=AsyncIOScheduler(loop) to subscribe"
        ) from None


class _Handlers(Generic[_T, _R]):
    """One subscription: items come in on any thread, and all else happens on the loop."""

    def __init__(
        self,
        handler: Callable[[_T], Awaitable[_R]],
        observer: ObserverBase[_R],
        loop: asyncio.AbstractEventLoop,
        max_concurrent: int,
        waiting: BoundedQueue[_T],
    ) -> None:
        self._handler = handler
        self._observer = observer
        self._loop = loop
        self._thread = get_ident() if _is_running_here(loop) else None
        self._max_concurrent = max_concurrent
        self._waiting = waiting
        self._told = 0
        self._running: set[asyncio.Task[_R]] = set()
        self._end: Exception | None = None
        self._ended = False
        self._over = False
        self.source = SerialDisposable()

    def put(self, item: _T) -> None:
        if self._ended or self._over:
            return
        waiting = self._waiting
        if waiting.put(item) and waiting.overflow is Overflow.ERROR:
            self.source_ended(waiting.overflow_error())
            self.source.dispose()
        else:
            self._on_loop(self._go_on)

    def source_ended(self, error: Exception | None = None) -> None:
        """Let what waits have its turn, and then end."""
        if not self._ended:
            self._end = error
            self._ended = True
            self._on_loop(self._go_on)

    def dispose(self) -> None:
        self._over = True
        self._waiting.clear()
        if self._running:
            self._on_loop(self._cancel)

    def _on_loop(self, action: Callable[[], None]) -> None:
        if get_ident() == self._thread:
            action()
        else:
            with suppress(RuntimeError):  # the loop is closed, and the subscriber with it
                self._loop.call_soon_threadsafe(action)
                return
            self._over = True
            self.source.dispose()

    def _go_on(self) -> None:
        """Start what may run; end after the last."""
        self._thread = get_ident()
        while self._waiting and not self._over and len(self._running) < self._max_concurrent:
            self._start(self._waiting.take())
        if self._ended and not self._waiting and not self._running and not self._over:
            self._finish(self._end)

    def _start(self, item: _T) -> None:
        self._tell_losses()
        task = self._loop.create_task(self._call(item))
        task.add_done_callback(self._done)  # first: what stands in ``_running`` leaves it, whatever interrupts this
        self._running.add(task)

    async def _call(self, item: _T) -> _R:
        result = self._handler(item)
        if not hasattr(result, "__await__"):
            raise InvalidOption(
                f"map_async's handler must be a coroutine function (async def); it returned {shown(result)}. For other "
                "functions there are ops.map and ops.flat_map"
            )
        return await result

    def _done(self, task: asyncio.Task[_R]) -> None:
        self._running.discard(task)
        if self._over:
            if not task.cancelled():
                task.exception()  # seen, so that nobody is told of what was given up
            return
        if task.cancelled():
            if task.cancelling():  # by somebody else: the loop is about to end
                self.dispose()
                self.source.dispose()
            else:
                self._finish(RuntimeError("a handler of map_async was cancelled by what it awaited"))
            return
        error = task.exception()
        if error is not None:
            self._finish(error if isinstance(error, Exception) else RuntimeError(f"a handler raised {error!r}"))
            return
        try:
            self._observer.on_next(task.result())
        except Exception as raised:
            self.dispose()
            self.source.dispose()
            detach(self._observer.on_error, raised)
            return
        self._go_on()

    def _finish(self, error: Exception | None) -> None:
        self.dispose()
        self.source.dispose()
        if error is None:
            self._observer.on_completed()
        else:
            self._observer.on_error(error)

    def _cancel(self) -> None:
        for task in tuple(self._running):
            task.cancel()

    def _tell_losses(self) -> None:
        lost = self._waiting.discarded - self._told
        if lost:
            self._told += lost
            _log.warning(
                "map_async: its handlers are slower than their source, and %d items were lost (%s, capacity %d)",
                lost,
                self._waiting.overflow.value,
                self._waiting.capacity,
            )


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    with suppress(RuntimeError):
        return asyncio.get_running_loop() is loop
    return False
