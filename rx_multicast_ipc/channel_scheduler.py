"""Timers that run on whichever thread owns them, instead of on a thread each."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any, Final, TypeVar

from reactivex.abc import DisposableBase, ScheduledAction, SchedulerBase
from reactivex.disposable import MultipleAssignmentDisposable, SingleAssignmentDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler
from reactivex.scheduler.periodicscheduler import PeriodicScheduler
from reactivex.scheduler.scheduler import Scheduler
from reactivex.typing import AbsoluteTime, RelativeTime, ScheduledPeriodicAction

from .subscribing.deadlocks import deadlock
from .subscribing.subscriber_errors import is_for_the_caller, report

_TState = TypeVar("_TState")

_PURGE_AT = 64
"""Cancelled timers that may stay queued; beyond it they are removed once they are the majority."""


COARSE: Final = 3e-3
"""Seconds that a coarse timer may be late."""

_START: Final = datetime.now(UTC) - timedelta(seconds=time.monotonic())
"""When the monotonic clock was at 0, by the wall clock as it was at import."""


def _nothing() -> None:
    pass


class MonotonicTime(Scheduler):
    """Reads the time off the monotonic clock, so that no step of the wall clock makes a pause longer or shorter.

    At import the two agree; an absolute due time is one of this clock: ``scheduler.now + pause``.
    """

    @property
    def now(self) -> datetime:
        return _START + timedelta(seconds=time.monotonic())


class LoopScheduler(MonotonicTime, AsyncIOScheduler):
    """The scheduler of an event loop."""


class TimerScheduler(MonotonicTime, PeriodicScheduler):
    """A scheduler without a thread: its owner calls :meth:`run_due` and sleeps until the next is due.

    Scheduling and disposing are safe from every thread; actions run in order of their due times, on
    the owner's thread only. An action that raises is reported and does not stop the others. Ctrl-C, or a signal handler
    that raises, on the owner's thread loses none: what was not begun stays queued.

    Args:
        wake: called after something became due earlier than the owner knows of, on the scheduling thread.
        emptied: called after the last that was queued was disposed of, on the disposing thread.
    """

    def __init__(self, wake: Callable[[], None], emptied: Callable[[], None] = _nothing) -> None:
        super().__init__()
        self._wake = wake
        self._emptied = emptied
        self.forget()

    def forget(self) -> None:
        """Drop everything that is queued, without waiting for any lock (for a forked child)."""
        self._lock = RLock()  # a signal handler may schedule while its thread does
        self._heap: list[tuple[float, int, _Timer]] = []
        self._count = 0
        self._cancelled = 0
        self._wakes = False

    def schedule(self, action: ScheduledAction[_TState], state: _TState | None = None) -> DisposableBase:
        return self._add(time.monotonic(), action, state)

    def schedule_relative(
        self, duetime: RelativeTime, action: ScheduledAction[_TState], state: _TState | None = None
    ) -> DisposableBase:
        seconds = duetime if type(duetime) is float else self.to_seconds(duetime)
        return self._add(time.monotonic() + seconds, action, state)

    def schedule_exactly(self, seconds: float, action: ScheduledAction[Any]) -> DisposableBase:
        """Run ``action`` after so many seconds, and again if Ctrl-C or a signal handler that raises came amid it."""
        return self._add(time.monotonic() + seconds, action, None, until_done=True)

    def schedule_coarsely(self, seconds: float, action: ScheduledAction[Any]) -> DisposableBase:
        """The same, or up to :data:`COARSE` later where its owner waits cheaper so."""
        return self._add(time.monotonic() + seconds, action, None, coarse=True, until_done=True)

    def schedule_absolute(
        self, duetime: AbsoluteTime, action: ScheduledAction[_TState], state: _TState | None = None
    ) -> DisposableBase:
        return self._add((self.to_datetime(duetime) - _START).total_seconds(), action, state)

    def schedule_periodic(
        self,
        period: RelativeTime,
        action: ScheduledPeriodicAction[_TState],
        state: _TState | None = None,
    ) -> DisposableBase:
        """Run ``action`` once a period, with what it returned the time before.

        Each due time is a period after the one before it, not after the action: a late tick delays none that follow.
        """
        seconds = max(0.0, self.to_seconds(period))
        due = time.monotonic() + seconds
        ticking = MultipleAssignmentDisposable()

        def tick(_scheduler: SchedulerBase, value: _TState | None) -> None:
            nonlocal due
            if ticking.is_disposed:
                return
            try:
                value = action(value)
            except BaseException:
                ticking.dispose()
                raise
            due += seconds
            tick_at_due(value)

        def tick_at_due(value: _TState | None) -> None:
            ticking.disposable = timer = SingleAssignmentDisposable()  # in its place before it can run
            timer.disposable = self._add(due, tick, value)

        tick_at_due(state)
        return ticking

    def until_next(self) -> float | None:
        """Seconds until the next action is due, 0 or more; None if none is queued."""
        due = self.next_due()
        return None if due is None else max(0.0, due - time.monotonic())

    @property
    def next_is_coarse(self) -> bool:
        """Whether the next action may be late, and nothing else is due meanwhile."""
        heap = self._heap
        try:
            due, _, timer = heap[0]
            latest = due + COARSE
            return (  # looked at before each wait: no others than these come second
                timer.coarse and (len(heap) < 2 or heap[1][0] > latest) and (len(heap) < 3 or heap[2][0] > latest)
            )
        except IndexError:  # another thread cancelled it
            return False

    def run_due(self, now: float) -> None:
        """Run every action that is due by ``now`` (``time.monotonic`` seconds), but none that those schedule."""
        due = self.next_due()
        if due is None or due > now:
            return
        with self._lock:
            last = self._count
        while True:
            with self._lock:
                heap = self._drop_dead_heads()
                if not heap or heap[0][0] > now or heap[0][1] > last:
                    return
                timer = heap[0][2]
            timer.run(self)  # it is dropped once it has begun, or is done

    def next_due(self) -> float | None:
        """When the next action is due, in ``time.monotonic`` seconds; None if none is queued."""
        if not self._heap:  # without the lock: asked for at every turn of the owner's loop
            return None
        try:
            due, _, timer = self._heap[0]
            if not timer.dead:
                return due
        except IndexError:
            pass
        with self._lock:
            heap = self._drop_dead_heads()
            return heap[0][0] if heap else None

    def _add(
        self, due: float, action: ScheduledAction[Any], state: Any, *, coarse: bool = False, until_done: bool = False
    ) -> DisposableBase:
        timer = _Timer(self, action, state, coarse, until_done)
        try:
            with self._lock:
                self._count = number = self._count + 1
                self._drop_dead_heads()
                heapq.heappush(self._heap, (due, number, timer))
                first_due, _, first = self._heap[0]
                is_first = first is timer or (first.coarse and not coarse and due < first_due + COARSE)
                wakes, self._wakes = is_first or self._wakes, False
            if wakes:
                try:
                    self._wake()
                except (OSError, RuntimeError, MemoryError):  # no thread is left: nobody else could dispose of it
                    self._cancel(timer)
                    raise
        except BaseException:  # of a signal handler: the next one that is added wakes the owner
            self._wakes = True
            raise
        return timer

    def _drop_dead_heads(self) -> list[tuple[float, int, _Timer]]:
        heap = self._heap
        while heap and heap[0][2].dead:
            if heapq.heappop(heap)[2].cancelled:
                self._cancelled -= 1
        return heap

    def _cancel(self, timer: _Timer) -> None:
        with self._lock:
            if timer.dead:
                return
            timer.dead = timer.cancelled = True
            self._cancelled += 1
            if self._cancelled > _PURGE_AT and self._cancelled * 2 > len(self._heap):
                self._heap[:] = [entry for entry in self._heap if not entry[2].dead]
                heapq.heapify(self._heap)
                self._cancelled = 0
            emptied = self._cancelled == len(self._heap)
        if emptied:
            self._emptied()


def clock_of(scheduler: SchedulerBase) -> Callable[[], float]:
    """Tells the time that ``scheduler`` goes by, in seconds that only go forward."""
    if isinstance(scheduler, MonotonicTime):
        return time.monotonic
    return lambda: scheduler.to_seconds(scheduler.now)


def wall_clock_of(scheduler: SchedulerBase) -> Callable[[], float]:
    """Tells the time as messages do: seconds since 1970, or since virtual time began."""
    return time.time if isinstance(scheduler, MonotonicTime) else clock_of(scheduler)


class DeliveringScheduler(TimerScheduler):
    """The scheduler of a thread that reads and delivers.

    Scheduling raises ``WouldDeadlock`` where a subscriber on such a thread blocks, with ``Observable.run``, until a
    timer fires that this very thread would run.
    """

    def _add(
        self, due: float, action: ScheduledAction[Any], state: Any, *, coarse: bool = False, until_done: bool = False
    ) -> DisposableBase:
        blocked = deadlock()
        if blocked is not None:
            raise blocked
        return super()._add(due, action, state, coarse=coarse, until_done=until_done)


class _Timer(DisposableBase):
    """One action.

    Attributes:
        coarse: whether it may be late.
        dead: whether it is not to run (any more): it was cancelled, has begun or, if it runs until it is done, is done.
        cancelled: whether it was cancelled before.
    """

    __slots__ = (
        "_action",
        "_disposed",
        "_result",
        "_scheduler",
        "_state",
        "_until_done",
        "cancelled",
        "coarse",
        "dead",
    )

    def __init__(
        self, scheduler: TimerScheduler, action: ScheduledAction[Any], state: Any, coarse: bool, until_done: bool
    ) -> None:
        self.coarse = coarse
        self._scheduler = scheduler
        self._action = action
        self._state = state
        self._until_done = until_done
        self._result: DisposableBase | None = None
        self.dead = self.cancelled = self._disposed = False

    def run(self, scheduler: SchedulerBase) -> None:
        if self.dead:
            return
        try:
            action, state = self._action, self._state
            self.dead = not self._until_done
            result = action(scheduler, state)  # no call in between, so that Ctrl-C comes before both or after
        except BaseException as error:
            if is_for_the_caller(error):
                raise
            self.dead = True
            report(error)
            return
        self.dead = True
        if isinstance(result, DisposableBase):
            self._result = result
            if self._disposed:
                result.dispose()

    def dispose(self) -> None:
        self._disposed = True
        self._scheduler._cancel(self)  # pyright: ignore[reportPrivateUsage]
        result, self._result = self._result, None
        if result is not None:
            result.dispose()
