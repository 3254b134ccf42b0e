"""Delivery on an asyncio event loop, for subscribers that brought an asyncio scheduler."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from reactivex.abc import ObserverBase, SchedulerBase
from reactivex.scheduler.eventloop import AsyncIOScheduler

from ..subscriber_errors import detach

_T = TypeVar("_T")

LOOP_CAPACITY: Final = 65_536
"""Items that wait for one busy loop; beyond it the oldest go, and are counted."""


def loop_of(scheduler: SchedulerBase | None) -> asyncio.AbstractEventLoop | None:
    """The event loop of an asyncio scheduler; None for every other one."""
    if isinstance(scheduler, AsyncIOScheduler):
        return scheduler._loop  # pyright: ignore[reportPrivateUsage]
    return None


def at_home_of(scheduler: SchedulerBase | None, observer: ObserverBase[_T]) -> ObserverBase[_T]:
    """``observer``, called on the event loop of ``scheduler`` if it has one."""
    loop = loop_of(scheduler)
    return observer if loop is None else LoopObserver(observer, loop)


class LoopClosed(Exception):
    """The loop of a subscriber is gone, and with it the subscriber."""


class LoopObserver(ObserverBase[_T]):
    """Passes notifications on, from any one thread, to an observer on an event loop: in order, one wake-up a burst.

    A plain ``await`` needs it: a future completed from another thread does not wake its loop.

    Args:
        observer: takes them, on the loop.
        loop: where to.
        on_discard: called for each item that a loop behind by ``LOOP_CAPACITY`` items loses.
    """

    def __init__(
        self,
        observer: ObserverBase[_T],
        loop: asyncio.AbstractEventLoop,
        on_discard: Callable[[_T], None] | None = None,
    ) -> None:
        self._observer = observer
        self._loop = loop
        self._on_discard = on_discard
        self._items: deque[_T] = deque()
        self._end: Callable[[], None] | None = None
        self._woken = False

    def on_next(self, value: _T) -> None:
        if len(self._items) >= LOOP_CAPACITY:
            with suppress(IndexError):  # the loop took it this very moment
                oldest = self._items.popleft()
                if self._on_discard is not None:
                    self._on_discard(oldest)
        self._items.append(value)
        self._wake()

    def on_error(self, error: Exception) -> None:
        self._end = lambda: self._observer.on_error(error)
        self._wake()

    def on_completed(self) -> None:
        self._end = self._observer.on_completed
        self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            if self._loop.is_closed():
                with suppress(BaseException):  # so that the chain lets go of what it holds; nobody is there to care
                    self._observer.on_error(LoopClosed())
                raise LoopClosed
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._woken = False  # first, so that what arrives from here on wakes again
        end = self._end
        try:
            for _ in range(len(self._items)):
                self._observer.on_next(self._items.popleft())
            if end is not None:
                end()
        except Exception as error:
            self._items.clear()
            detach(self._observer.on_error, error)
