"""One wait for a message, or one request, from its subscription to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from reactivex.abc import DisposableBase, ObserverBase
from reactivex.disposable import SerialDisposable

from ..errors import MessageTimeout
from ..message import Message
from ..subscribing.subscriber_errors import detach, is_for_the_caller

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
        self._waits = [None]  # empty once it is over
        self.timer = SerialDisposable()

    @property
    def active(self) -> bool:
        return self._waits != []

    def stand_in(self, pending: dict[PendingWait, None]) -> None:
        """Stand in ``pending`` while active."""
        self._pending = pending
        pending[self] = None
        if not self.active:  # over before, or on another thread this very moment
            pending.pop(self, None)

    def dispose(self) -> None:
        self._ends()
        self._let_go()

    def _ends(self) -> bool:
        """End it, in one step; from any thread. Whether this call did: then it is to tell the observer."""
        try:
            del self._waits[0]
        except IndexError:
            return False
        return True

    def _let_go(self) -> None:
        if self._pending is not None:
            self._pending.pop(self, None)
        self.timer.dispose()

    def offer(self, message: Message) -> bool:
        """Whether it takes ``message``."""
        if not self.active:
            self._let_go()  # again, for a signal handler may have raised as it ended
            return False
        try:
            matched = self._predicate is None or self._predicate(message)
        except Exception as error:
            self.fail(error)
            return False
        except BaseException as error:  # sys.exit() in a predicate costs the others nothing
            if is_for_the_caller(error):
                raise
            self.dispose()
            detach(self._observer.on_error, error)
            return False
        if not matched or not (self.active if self.takes_all else self._ends()):  # the latter: it was disposed of
            return False
        observer = self._observer
        try:
            if not self.takes_all:
                self._let_go()
        finally:  # whatever a signal handler raises, and where
            try:
                observer.on_next(message)
                if not self.takes_all:
                    observer.on_completed()
            except BaseException as error:
                self.dispose()
                if is_for_the_caller(error):
                    observer.on_completed()  # so that nobody waits for ever on another thread
                detach(observer.on_error, error)
        return True

    def time_out(self, seconds: float, waited_for: str) -> None:
        if not self.takes_all:
            self.fail(MessageTimeout(seconds, waited_for))
        elif self._ends():
            try:
                self._let_go()
            finally:
                try:
                    self._observer.on_completed()
                except BaseException as raised:
                    detach(self._observer.on_error, raised)

    def fail(self, error: Exception) -> None:
        if self._ends():
            try:
                self._let_go()
            finally:
                try:
                    self._observer.on_error(error)
                except BaseException as raised:
                    if raised is not error:
                        detach(self._observer.on_error, raised)
