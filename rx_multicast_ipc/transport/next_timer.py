"""The one timer of a state machine that says when it is to be called next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from reactivex.abc import DisposableBase
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..channel_scheduler import COARSE, TimerScheduler

_LEAST_PAUSE: Final = 1e-5
"""Seconds: so that a timer is never due before its time by a rounding error."""


class NextTimer:
    """Calls at the earliest of the times that it was given since the last call.

    Where none of them is to be kept exactly, it may call :data:`COARSE` later: the thread then waits more cheaply.
    Used on the scheduler's thread, or with a lock that the action takes before it asks what is due.

    Args:
        scheduler: runs it.
        action: is called.

    Attributes:
        due: when it calls; infinity for never, minus infinity for never again.
        at_the_latest: the same, if what it waits for is kept as late as it may be.
    """

    def __init__(self, scheduler: PeriodicScheduler, action: Callable[[], None]) -> None:
        self.due = self.at_the_latest = math.inf
        self._scheduler = scheduler
        self._schedule_coarsely = (
            scheduler.schedule_coarsely if isinstance(scheduler, TimerScheduler) else scheduler.schedule_relative
        )
        self._action = action
        self._timer: DisposableBase | None = None

    def call_at(self, due: float, now: float, *, exact: bool = True) -> None:
        """Call at ``due``, or sooner if told so before; never, if infinite.

        Args:
            due, now: seconds, on the same clock.
            exact: whether that may not be late. Further off than :data:`COARSE` it may, in any case.
        """
        at_the_latest = due if exact and due - now <= COARSE else due + COARSE
        if due < self.due or at_the_latest < self.at_the_latest:
            due, at_the_latest = min(due, self.due), min(at_the_latest, self.at_the_latest)
            is_coarse = at_the_latest >= due + COARSE
            schedule = self._schedule_coarsely if is_coarse else self._scheduler.schedule_relative
            timer = schedule(max(0.0, due - now) + _LEAST_PAUSE, self._on_timer)
            # An interrupt in between leaves one call too many, and never a time for which nobody calls.
            before, self._timer, self.due, self.at_the_latest = self._timer, timer, due, at_the_latest
            if before is not None:
                before.dispose()

    def stop(self) -> None:
        """Call no more, whatever it is told; from any thread."""
        self.due = self.at_the_latest = -math.inf
        if self._timer is not None:
            self._timer.dispose()

    def _on_timer(self, _scheduler: object, _state: object) -> None:
        if self.due > -math.inf:
            self.due, self.at_the_latest, self._timer = math.inf, math.inf, None
            self._action()
