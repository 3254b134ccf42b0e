"""Virtual time: a scheduler whose clock moves only as far, and as fast, as its actions are due."""

from __future__ import annotations

from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar

from reactivex.abc import DisposableBase, ScheduledAction
from reactivex.internal.constants import UTC_ZERO
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.typing import AbsoluteTime, RelativeTime

from ..errors import InvalidOption, Unsupported, WouldDeadlock
from ..subscribing.subscriber_errors import delivering_here
from ..validation.arguments import shown

__tracebackhide__ = True  # pytest shows the line of the test instead

_TState = TypeVar("_TState")

_LAST: Final = int((datetime.max - datetime(1970, 1, 1)).total_seconds()) * 1_000_000
"""Microseconds from the Unix epoch, beyond which no datetime is."""

_MICROSECOND: Final = timedelta(microseconds=1)

_MOST_ROUNDS: Final = 500_000
"""How often the actions of one moment may schedule others for that same moment, before it counts as for ever."""

_PURGE_AT: Final = 64
"""Cancelled actions that may stay queued; beyond it they are removed once they are the majority."""


def check_virtual_clock(scheduler: VirtualTimeScheduler) -> VirtualTimeScheduler:
    """``scheduler``, if its time is virtual; raises ``InvalidOption``."""
    if not isinstance(scheduler, VirtualTimeScheduler):
        raise InvalidOption(
            f"the scheduler is a clock of virtual time, such as VirtualClock() or reactivex.testing.TestScheduler(), "
            f"not {shown(scheduler)}"
        )
    return scheduler


class Agenda(Protocol):
    """What has many things to do, and keeps them in order itself.

    Attributes:
        due: when the next ones are, in virtual microseconds; -1 while there are none.
        last: when the last ones are.
    """

    due: int

    @property
    def last(self) -> int: ...

    def run(self) -> None:
        """Do what is due next, all that is due at that moment."""
        ...


class VirtualClock(VirtualTimeScheduler):
    """A virtual-time scheduler with exact times, counted in whole microseconds from 0.

    Wherever reactivex takes a ``VirtualTimeScheduler`` this one can stand. It differs in four things. Many actions at
    one moment do not move the clock (reactivex moves it on by a second after 100 of them). Nor do cancelled ones. An
    action that raises leaves it fit for use. And it counts in integers, not in datetimes, which costs much less.

    Actions run in order of their due times, and those of one moment in the order in which they were scheduled, but for
    what a virtual network delivers: that comes first.
    What is due in the past runs now. It is not safe for threads, for virtual time has none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0
        self._heap: list[tuple[int, int, _Action]] = []
        self._agendas: list[Agenda] = []
        self._scheduled = 0
        self._cancelled = 0
        self._running = False

    @property
    def clock(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Virtual seconds, to the microsecond: the very float that is written ``0.2`` for 200 ms."""
        return self._now / 1_000_000

    @property
    def now(self) -> datetime:
        """The same as a datetime, counted from the Unix epoch."""
        return UTC_ZERO + timedelta(microseconds=self._now)

    @property
    def busy_until(self) -> float | None:
        """When the last of what is scheduled so far is due, in virtual seconds; None if nothing is."""
        due = [due for due, _, action in self._heap if not action.dead]
        due += [agenda.last for agenda in self._agendas if agenda.due >= 0]
        return max(due) / 1_000_000 if due else None

    def schedule(self, action: ScheduledAction[_TState], state: _TState | None = None) -> DisposableBase:
        return self._add(self._now, action, state)

    def schedule_relative(
        self, duetime: RelativeTime, action: ScheduledAction[_TState], state: _TState | None = None
    ) -> DisposableBase:
        return self._add(self._now + _microseconds(duetime), action, state)

    def schedule_exactly(self, seconds: float, action: ScheduledAction[Any]) -> DisposableBase:
        """Run ``action`` after so many seconds, and again if Ctrl-C came amid it."""
        return self._add(self._now + _microseconds(seconds), action, None, until_done=True)

    schedule_coarsely = schedule_exactly

    def schedule_absolute(
        self, duetime: AbsoluteTime, action: ScheduledAction[_TState], state: _TState | None = None
    ) -> DisposableBase:
        return self._add(_microseconds(duetime), action, state)

    def serve(self, agenda: Agenda) -> None:
        """Do what is on an agenda, which just got its first entry, until it is empty; before what else is due then."""
        if agenda not in self._agendas:  # it is still there while it does what was its last
            self._agendas.append(agenda)

    def start(self) -> None:
        """Run until nothing is left to do, which a source without end never lets happen: see :meth:`advance_to`.

        Raises:
            WouldDeadlock: called by one of its own actions.
            Unsupported: an action schedules itself for ever without time passing.
            Exception: whatever an action raised; the others stay queued.
        """
        self._run(None)

    def advance_to(self, time: AbsoluteTime) -> None:
        """Run what is due by ``time`` (virtual seconds or a datetime), and set the clock to it.

        Raises:
            InvalidOption: for a time in the past.
            WouldDeadlock, Unsupported, Exception: as :meth:`start`.
        """
        self._advance_to(_microseconds(time))

    def _advance_to(self, until: int) -> None:
        _check_is_date(until)
        if until < self._now:
            raise InvalidOption(f"virtual time goes forward: it is {self.clock:g} s, past {until / 1_000_000:g} s")
        self._run(until)

    def advance_by(self, time: RelativeTime) -> None:
        """Run what is due within ``time`` (seconds or a timedelta), and set the clock there. See :meth:`advance_to`."""
        self._advance_to(self._now + _microseconds(time))

    def sleep(self, time: RelativeTime) -> None:
        """Set the clock forward by ``time`` and run nothing; what became due runs late.

        Raises:
            InvalidOption: a time that is negative, or beyond what a date can be.
        """
        span = _microseconds(time)
        if span < 0:
            raise InvalidOption(f"virtual time goes forward, not by {span / 1_000_000:g} s")
        _check_is_date(self._now + span)
        self._now += span

    def stop(self) -> None:
        """End :meth:`start` or :meth:`advance_to` after the action that calls this; the clock stays where it is."""
        self._running = False

    def _run(self, until: int | None) -> None:
        if self._running:
            raise WouldDeadlock("an action of a virtual clock cannot run that clock; schedule what is to happen then")
        with delivering_here():
            self._run_actions(until)

    def _run_actions(self, until: int | None) -> None:
        self._running = True
        heap, agendas = self._heap, self._agendas
        moment, rounds, last = -1, 0, self._scheduled
        try:
            while self._running and (heap or agendas):
                if len(agendas) > 1:
                    agendas.sort(key=_due)
                agenda = agendas[0] if agendas and not (heap and heap[0][0] < agendas[0].due) else None
                due = heap[0][0] if agenda is None else agenda.due
                if until is not None and due > until:
                    break
                action, number = None, last
                if agenda is None:
                    due, number, action = heap[0]
                    if action.dead:
                        if heappop(heap)[2].cancelled:
                            self._cancelled -= 1
                        continue
                if due > self._now:
                    self._now = due
                if due != moment:
                    moment, rounds, last = due, 0, self._scheduled
                elif agenda is not None or number > last:
                    rounds, last = rounds + 1, self._scheduled
                    if rounds > _MOST_ROUNDS:
                        raise Unsupported(
                            f"at {self.clock:g} s something answers itself or repeats for ever without time passing; "
                            "give it a delay, or the network a latency"
                        )
                if action is not None:
                    what, state = action.action, action.state
                    action.dead = not action.until_done
                    try:
                        result = what(self, state)  # no call in between, so that Ctrl-C comes before both or after
                    except Exception:
                        action.dead = True
                        raise
                    action.dead = True
                    if isinstance(result, DisposableBase):
                        action.keep(result)
                elif agenda is not None:
                    try:
                        agenda.run()
                    finally:
                        if agenda.due < 0:
                            agendas.remove(agenda)
            if self._running and until is not None:
                self._now = max(until, self._now)
        finally:
            self._running = False

    def _add(self, due: int, action: ScheduledAction[Any], state: Any, *, until_done: bool = False) -> DisposableBase:
        self._scheduled = number = self._scheduled + 1
        scheduled = _Action(self, action, state, until_done)
        heappush(self._heap, (max(due, self._now), number, scheduled))
        return scheduled

    def _count_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > _PURGE_AT and self._cancelled * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if not entry[2].dead]
            heapify(self._heap)
            self._cancelled = 0


class _Action(DisposableBase):
    """What is to run.

    Attributes:
        action, state: what, and with what.
        until_done: whether it runs again if it was interrupted.
        dead: whether it is not to run (any more): it was cancelled, has begun or, if it runs until it is done, is done.
        cancelled: whether it was cancelled before.
    """

    __slots__ = ("_clock", "_disposed", "_result", "action", "cancelled", "dead", "state", "until_done")

    def __init__(self, clock: VirtualClock, action: ScheduledAction[Any], state: Any, until_done: bool) -> None:
        self._clock = clock
        self._result: DisposableBase | None = None
        self.action = action
        self.state = state
        self.until_done = until_done
        self.dead = self.cancelled = self._disposed = False

    def keep(self, result: DisposableBase) -> None:
        """Dispose of what the action returned along with it."""
        self._result = result
        if self._disposed:
            result.dispose()

    def dispose(self) -> None:
        if not self._disposed:
            self._disposed = True
            if not self.dead:
                self.dead = self.cancelled = True
                self._clock._count_cancelled()  # pyright: ignore[reportPrivateUsage]
            result, self._result = self._result, None
            if result is not None:
                result.dispose()


def _check_is_date(microseconds: int) -> None:
    if microseconds > _LAST:
        raise InvalidOption("virtual time ends with the year 9999")


def _microseconds(time: AbsoluteTime | RelativeTime) -> int:
    if type(time) is not float and not isinstance(time, float | int):  # the first is much quicker
        if not isinstance(time, datetime | timedelta):
            raise InvalidOption(f"virtual time is seconds, a datetime or a timedelta, not {shown(time)}")
        return (time - UTC_ZERO if isinstance(time, datetime) else time) // _MICROSECOND
    try:
        return round(time * 1_000_000)
    except (ValueError, OverflowError):
        raise InvalidOption(f"virtual time is a finite number of seconds, not {shown(time)}") from None


_due = attrgetter("due")
