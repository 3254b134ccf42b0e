"""The one timer of a state machine that says when it is to be called next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from reactivex.abc import DisposableBase
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

_LEAST_PAUSE: Final = 1e-5
"""Seconds: so that a timer is never due before its time by a rounding error."""


class NextTimer:
    """Calls at the earliest of the times that it was given since the last call. Used on the scheduler's thread.

    Args:
        scheduler: runs it.
        action: is called.
    """

    def __init__(self, scheduler: PeriodicScheduler, action: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._action = action
        self._timer: DisposableBase | None = None
        self._due = math.inf

    def call_at(self, due: float, now: float) -> None:
        """Call at ``due``, seconds on the clock that says ``now``, or sooner if told so before; never, if infinite."""
        if due < self._due:
            self.stop()
            self._due = due
            self._timer = self._scheduler.schedule_relative(max(0.0, due - now) + _LEAST_PAUSE, self._on_timer)

    def is_later_than(self, due: float) -> bool:
        """Whether it would call after ``due``."""
        return due < self._due

    def stop(self) -> None:
        """Do not call; from any thread."""
        if self._timer is not None:
            self._timer.dispose()

    def _on_timer(self, _scheduler: object, _state: object) -> None:
        self._due, self._timer = math.inf, None
        self._action()
