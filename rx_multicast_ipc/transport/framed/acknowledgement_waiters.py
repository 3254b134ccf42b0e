"""Those who wait until a message is acknowledged."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from reactivex.disposable import Disposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ...option_values.reliable import Acknowledged
from .acknowledgement_marks import Mark
from .acknowledgements import Acknowledgements


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
        self._done = done

    def tell(self, acknowledged: Acknowledged, _scheduler: object, _state: object) -> None:
        if not self.is_disposed:
            self._done(acknowledged)


class AcknowledgementWaiters:
    """All who wait. Used with the lock of the end held.

    Args:
        acknowledgements: know who has what.
        scheduler: tells them, on the I/O thread.
    """

    def __init__(self, acknowledgements: Acknowledgements, scheduler: PeriodicScheduler) -> None:
        self._acknowledgements = acknowledgements
        self._scheduler = scheduler
        self._waiting: dict[Acknowledgement, None] = {}

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def wait(self, done: Callable[[Acknowledged], None], forget: Callable[[Acknowledgement], None]) -> Acknowledgement:
        """Wait for the message to the group that was sent last."""
        waiting = Acknowledgement(self._acknowledgements.mark(), done, forget)
        self._waiting[waiting] = None
        return waiting

    def forget(self, waiting: Acknowledgement) -> None:
        self._waiting.pop(waiting, None)

    def look(self, now: float) -> float:
        """Tell those whose message is acknowledged; returns when to look again if nothing happens before."""
        for waiting in list(self._waiting):
            acknowledged = self._acknowledgements.of(waiting.mark, now)
            if acknowledged is not None:
                del self._waiting[waiting]
                self._scheduler.schedule(partial(waiting.tell, acknowledged))
        settled_at = self._acknowledgements.settled_at
        return settled_at if self._waiting and now < settled_at else math.inf
