"""Those who wait until a message is acknowledged."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from reactivex.disposable import Disposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ...message import Address
from ...option_values.reliable import Acknowledged
from ...subscribing.subscriber_errors import report
from ..next_timer import NextTimer
from .acknowledgement_marks import Mark
from .outgoing import Outgoing


class Acknowledgement(Disposable):
    """Somebody who waits until a message is acknowledged; disposing ends the wait.

    Attributes:
        mark: the message.
    """

    def __init__(
        self, mark: Mark, done: Callable[[Acknowledged], None], forget: Callable[[Acknowledgement], None]
    ) -> None:
        super().__init__(lambda: forget(self))
        self.mark = mark
        self._done: Callable[[Acknowledged], None] | None = done

    def tell(self, acknowledged: Acknowledged) -> None:
        """Tell it, if nobody did; on the I/O thread."""
        done = self._done
        if done is not None and not self.is_disposed:
            self._done = None  # no call in between
            done(acknowledged)


class AcknowledgementWaiters:
    """All who wait. Used with the lock of the end held.

    Args:
        to_group: the stream that they sent to.
        scheduler: tells them, on the I/O thread.
    """

    def __init__(self, to_group: Outgoing, scheduler: PeriodicScheduler) -> None:
        self._to_group = to_group
        self._to_tell: deque[tuple[Acknowledgement, Acknowledged]] = deque()
        self._timer = NextTimer(scheduler, self._tell, least_pause=0.0)
        self._waiting: dict[Acknowledgement, None] = {}

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def wait(self, done: Callable[[Acknowledged], None], forget: Callable[[Acknowledgement], None]) -> Acknowledgement:
        """Wait for the message to the group that was sent last."""
        waiting = Acknowledgement(self._to_group.mark(), done, forget)
        self._waiting[waiting] = None
        return waiting

    def forget(self, waiting: Acknowledgement) -> None:
        self._waiting.pop(waiting, None)

    def lacking(self, waiting: Acknowledgement) -> list[Address]:
        """Who has yet to acknowledge it."""
        return self._to_group.marks.lacking(waiting.mark)

    def look(self, now: float) -> float:
        """Tell those whose message is acknowledged; returns when to look again if nothing happens before."""
        marks = self._to_group.marks
        for waiting in [*self._waiting]:
            acknowledged = marks.outcome(waiting.mark, now)
            if acknowledged is not None:
                self._to_tell.append((waiting, acknowledged))
                self._timer.call_at(now, now)
                del self._waiting[waiting]  # last: one that is nowhere would wait for ever
        return marks.settled_at if self._waiting and now < marks.settled_at else math.inf

    def _tell(self) -> None:
        while self._to_tell:
            try:
                waiting, acknowledged = self._to_tell[0]
                waiting.tell(acknowledged)
            except Exception as error:
                report(error)
            self._to_tell.popleft()
