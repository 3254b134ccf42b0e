"""Delivery on an asyncio event loop, for subscribers that brought an asyncio scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from reactivex.abc import ObserverBase, SchedulerBase
from reactivex.scheduler.eventloop import AsyncIOScheduler

from ..subscribing.subscriber_errors import HERE, detach
from ..validation.arguments import check_scheduler
from .bounded_queue import QUEUE_BYTES, BoundedQueue

_T = TypeVar("_T")

LOOP_CAPACITY: Final = 65_536
"""Messages that wait for one busy loop; beyond it the oldest go, and are counted."""


def loop_of(scheduler: SchedulerBase | None) -> asyncio.AbstractEventLoop | None:
    """The event loop of an asyncio scheduler; None for every other one. Raises ``InvalidOption`` for what is none."""
    if isinstance(scheduler, AsyncIOScheduler):
        return scheduler._loop  # pyright: ignore[reportPrivateUsage]
    if scheduler is not None:
        check_scheduler(scheduler)
    return None


def on_its_loop(scheduler: SchedulerBase | None, observer: ObserverBase[_T]) -> ObserverBase[_T]:
    """``observer``, called on the event loop of ``scheduler`` if it has one."""
    loop = loop_of(scheduler)
    return observer if loop is None else LoopObserver(observer, loop)


class LoopClosed(Exception):
    """The loop of a subscriber is gone, and with it the subscriber."""


class LoopObserver(ObserverBase[_T]):
    """Passes notifications on, from any one thread, to an observer on an event loop: in order, one wake-up a burst.

    A plain ``await`` needs it: a future completed from another thread does not wake its loop. What the loop itself
    reads (``read_on="loop"``) is passed on at once. Once the loop is closed it lets go of what waits, and ends its
    observer's chain, so that the source loses its subscriber.

    Args:
        observer: takes them, on the loop.
        loop: where to.
        on_discard: told how many messages a loop lost that is behind by ``LOOP_CAPACITY`` messages or by
            ``QUEUE_BYTES`` bytes.
    """

    def __init__(
        self,
        observer: ObserverBase[_T],
        loop: asyncio.AbstractEventLoop,
        on_discard: Callable[[int], None] | None = None,
    ) -> None:
        self._observer = observer
        self._loop = loop
        self._items: BoundedQueue[_T] = BoundedQueue(LOOP_CAPACITY, capacity_bytes=QUEUE_BYTES)
        if on_discard is not None:
            self._items.counts.append(on_discard)
        self._end: Callable[[], None] | None = None
        self._woken = False
        self._over = False

    def on_next(self, value: _T) -> None:
        if HERE.reads and self._is_next:
            self._observer.on_next(value)
        else:
            self._items.put(value)
            self._wake()

    def on_error(self, error: Exception) -> None:
        if HERE.reads and self._is_next:
            self._over = True
            self._observer.on_error(error)
        else:
            self._end = lambda: self._observer.on_error(error)
            self._wake()

    def on_completed(self) -> None:
        if HERE.reads and self._is_next:
            self._over = True
            self._observer.on_completed()
        else:
            self._end = self._observer.on_completed
            self._wake()

    @property
    def _is_next(self) -> bool:
        """Whether the caller is the loop, and nothing waits that came before."""
        return HERE.loop is self._loop and not self._woken and not self._over

    def _wake(self) -> None:
        if self._over:
            self._items.clear()
        elif self._loop.is_closed():  # looked at each time: a loop that was closed before it woke never will
            self._let_go()
        elif not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:  # closed this very moment
                self._let_go()
            except BaseException:  # of a signal handler: what comes next wakes it
                self._woken = False
                raise

    def _let_go(self) -> None:
        self._over = True
        self._items.clear()
        with suppress(BaseException):  # nobody is there to care
            self._observer.on_error(LoopClosed())

    def _drain(self) -> None:
        self._woken = False  # first, so that what arrives from here on wakes again
        end = self._end
        items = self._items
        try:
            for _ in range(len(items)):
                try:
                    item = items.take()
                except IndexError:  # lost to what arrived meanwhile
                    break
                self._observer.on_next(item)
            if end is not None:
                self._over = True
                end()
        except BaseException as error:
            self._over = True
            items.clear()
            detach(self._observer.on_error, error)
