"""The one timer of a state machine that says when it is to be called next."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol, runtime_checkable

from reactivex.abc import DisposableBase, ScheduledAction
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..channel_scheduler import COARSE

_LEAST_PAUSE: Final = 1e-5


@runtime_checkable
class RunsUntilDone(Protocol):
    """A scheduler that runs an action again if Ctrl-C, or a signal handler that raises, came amid it."""

    def schedule_exactly(self, seconds: float, action: ScheduledAction[Any]) -> DisposableBase:
        """Run it after so many seconds."""
        ...

    def schedule_coarsely(self, seconds: float, action: ScheduledAction[Any]) -> DisposableBase:
        """The same, or up to :data:`COARSE` later."""
        ...


class NextTimer:
    """Calls at the earliest of the times that it was given since the last call.

    Where none of them is to be kept exactly, it may call :data:`COARSE` later: the thread then waits more cheaply.
    From any thread. Ctrl-C, or a signal handler that raises, leaves no time for which nobody calls, neither here nor in
    the action, which is called again then. The action asks what is due, with the lock of those who give it times.

    Args:
        scheduler: runs it.
        action: is called.
        least_pause: seconds more than until it is due, so that it is never early by a rounding error.

    Attributes:
        due: when it calls; infinity for never, minus infinity for never again.
        at_the_latest: the same, if what it waits for is kept as late as it may be.
    """

    def __init__(
        self, scheduler: PeriodicScheduler, action: Callable[[], None], least_pause: float = _LEAST_PAUSE
    ) -> None:
        self.due = self.at_the_latest = math.inf
        self._lock = threading.RLock()
        self._schedule_exactly = self._schedule_coarsely = scheduler.schedule_relative
        if isinstance(scheduler, RunsUntilDone):
            self._schedule_exactly = scheduler.schedule_exactly
            self._schedule_coarsely = scheduler.schedule_coarsely
        self._action = action
        self._least_pause = least_pause
        self._timer: DisposableBase | None = None

    def call_at(self, due: float, now: float, *, exact: bool = True) -> None:
        """Call at ``due``, or sooner if told so before; never, if infinite.

        Args:
            due, now: seconds, on the same clock.
            exact: whether that may not be late. Further off than :data:`COARSE` it may, in any case.
        """
        with self._lock:
            at_the_latest = due if exact and due - now <= COARSE else due + COARSE
            if due < self.due or at_the_latest < self.at_the_latest:
                due, at_the_latest = min(due, self.due), min(at_the_latest, self.at_the_latest)
                is_coarse = at_the_latest >= due + COARSE
                schedule = self._schedule_coarsely if is_coarse else self._schedule_exactly
                timer = schedule(max(0.0, due - now) + self._least_pause, self._on_timer)
                if self.due == -math.inf:  # a signal handler stopped it meanwhile
                    timer.dispose()
                    return
                # An interrupt in between leaves one call too many, and never a time for which nobody calls.
                before, self._timer, self.due, self.at_the_latest = self._timer, timer, due, at_the_latest
                if before is not None:
                    before.dispose()

    def stop(self) -> None:
        """Call no more, whatever it is told; from any thread."""
        with self._lock:
            self.due = self.at_the_latest = -math.inf
            if self._timer is not None:
                self._timer.dispose()

    def forget(self) -> None:
        """Call no more, in a forked child, without waiting for a lock that a thread of the parent held."""
        self._lock = threading.RLock()
        self.stop()

    def _on_timer(self, _scheduler: object, _state: object) -> None:
        with self._lock:  # which who scheduled it lets go of once that is noted
            if self.due == -math.inf:
                return
            self.due, self.at_the_latest, self._timer = math.inf, math.inf, None
        self._action()
