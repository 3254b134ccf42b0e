"""The hot Observable: serial delivery to any number of subscribers, none of which can hurt another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable

from .errors import ChannelClosed
from .hop import at_home_of
from .unhandled import detach

_T = TypeVar("_T")


class HotSource(Observable[_T]):
    """A hot Observable that its owner feeds from one thread.

    Subscribing takes part from the next item on, and never starts anything. A subscriber with an asyncio
    scheduler is served on its loop. One that raises is detached and reported; the others go on. Subscribing,
    disposing and ending the source inside ``on_next`` are safe.

    Args:
        refusal: the error that a new subscriber gets instead of taking part, or None.
    """

    def __init__(self, refusal: Callable[[], Exception | None]) -> None:
        super().__init__()
        self._gate = Lock()
        self._observers: tuple[ObserverBase[_T], ...] = ()
        self._refusal = refusal
        self._ended = False
        self._discarded = 0

    @property
    def discarded(self) -> int:
        """Items that asyncio subscribers lost because their loops did not keep up."""
        return self._discarded

    @property
    def observed(self) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._observers)

    def emit(self, items: Sequence[_T]) -> None:
        """Deliver ``items`` in order to everybody; on the delivering thread only."""
        index = 0
        while index < len(items):
            observers = self._observers
            if len(observers) == 1:
                index = self._emit_to_one(observers, items, index)
            else:
                item = items[index]
                for observer in observers:
                    try:
                        observer.on_next(item)
                    except Exception as error:
                        self._detach(observer, error)
                index += 1
                if not observers:
                    return

    def end(self, error: Exception | None = None) -> None:
        """Complete, or err, everybody and every later subscriber; on the delivering thread only."""
        with self._gate:
            self._ended = True
            observers, self._observers = self._observers, ()
        for observer in observers:
            try:
                if error is None:
                    observer.on_completed()
                else:
                    observer.on_error(error)
            except Exception as raised:
                if raised is not error:  # else: a subscriber without on_error, told all the same
                    self._detach(observer, raised)

    def _emit_to_one(self, observers: tuple[ObserverBase[_T], ...], items: Sequence[_T], index: int) -> int:
        observer = observers[0]
        on_next = observer.on_next
        try:
            while index < len(items) and self._observers is observers:
                index += 1
                on_next(items[index - 1])
        except Exception as error:
            self._detach(observer, error)
        return index

    def _subscribe_core(self, observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
        receiver = at_home_of(scheduler, observer, self._count_discarded)
        refusal = self._refusal()
        if refusal is None:
            with self._gate:
                if not self._ended:
                    self._observers = (*self._observers, receiver)
                    return Disposable(lambda: self._remove(receiver))
        observer.on_error(refusal or self._refusal() or ChannelClosed())
        return Disposable()

    def _remove(self, observer: ObserverBase[_T]) -> None:
        if observer in self._observers:
            with self._gate:
                self._observers = tuple([other for other in self._observers if other is not observer])

    def _detach(self, observer: ObserverBase[_T], error: Exception) -> None:
        self._remove(observer)
        detach(observer, error)

    def _count_discarded(self) -> None:
        self._discarded += 1
