"""One wait for a message, or one request, from its subscription to its end."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

from reactivex.abc import DisposableBase, ObserverBase
from reactivex.disposable import SerialDisposable

from ..errors import MessageTimeout
from ..message import Message
from ..subscribing.subscriber_errors import detach

Predicate: TypeAlias = Callable[[Message], object]
"""Chooses messages: any true value takes one."""


class PendingWait(DisposableBase):
    """One subscription of a wait; over with its first match, an error or when disposed of.

    One that takes all is over when its time is, not with a match.
    """

    def __init__(self, predicate: Predicate | None, observer: ObserverBase[Message], takes_all: bool = False) -> None:
        self._predicate = predicate
        self._observer = observer
        self.takes_all = takes_all
        self._pending: dict[PendingWait, None] | None = None
        self._over = Lock()  # acquired once, by what ends it
        self.timer = SerialDisposable()

    @property
    def active(self) -> bool:
        return not self._over.locked()

    def stand_in(self, pending: dict[PendingWait, None]) -> None:
        """Stand in ``pending`` while active."""
        self._pending = pending
        pending[self] = None
        if not self.active:  # over before, or on another thread this very moment
            pending.pop(self, None)

    def finish(self) -> bool:
        """End without a word, and let go of everything; from any thread. Whether it was active."""
        was_active = self._over.acquire(blocking=False)
        if self._pending is not None:  # also if it was over: a signal handler may have raised here
            self._pending.pop(self, None)
        self.timer.dispose()
        return was_active

    def dispose(self) -> None:
        self.finish()

    def offer(self, message: Message) -> bool:
        """Whether it takes ``message``."""
        if not self.active:
            self.finish()
            return False
        try:
            matched = self._predicate is None or self._predicate(message)
        except Exception as error:
            self.fail(error)
            return False
        except BaseException as error:  # sys.exit() in a predicate costs the others nothing
            self.finish()
            detach(self._observer.on_error, error)
            return False
        if not matched or not (self.active if self.takes_all else self.finish()):  # the latter: it was disposed of
            return False
        try:
            self._observer.on_next(message)
            if not self.takes_all:
                self._observer.on_completed()
        except BaseException as error:
            self.finish()
            detach(self._observer.on_error, error)
        return True

    def time_out(self, seconds: float, waited_for: str) -> None:
        if not self.takes_all:
            self.fail(MessageTimeout(seconds, waited_for))
        elif self.finish():
            try:
                self._observer.on_completed()
            except BaseException as raised:
                detach(self._observer.on_error, raised)

    def fail(self, error: Exception) -> None:
        if self.finish():
            try:
                self._observer.on_error(error)
            except BaseException as raised:
                if raised is not error:
                    detach(self._observer.on_error, raised)
