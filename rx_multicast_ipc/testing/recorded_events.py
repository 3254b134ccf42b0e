"""What happened in a stream, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from reactivex import Observable
from reactivex.abc import SchedulerBase
from reactivex.disposable import SingleAssignmentDisposable

Kind = Literal["next", "error", "completed"]


class Event(NamedTuple):
    """One notification.

    Attributes:
        time: virtual seconds.
        kind: what it was.
        value: the value; for an error ``(type, arguments)``, so that errors compare by both; else None.
    """

    time: float
    kind: Kind
    value: Any = None


class Recording:
    """What one subscription saw.

    Attributes:
        events: so far, in order.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.events: list[Event] = []
        self._now = now
        self._subscription = SingleAssignmentDisposable()

    def begin(self, source: Observable[Any], scheduler: SchedulerBase) -> None:
        """Subscribe, on ``scheduler``."""
        self._subscription.disposable = source.subscribe(self._next, self._error, self._completed, scheduler=scheduler)

    @property
    def values(self) -> list[Any]:
        """The values alone."""
        return [event.value for event in self.events if event.kind == "next"]

    def dispose(self) -> None:
        """End the subscription."""
        self._subscription.dispose()

    def _next(self, value: Any) -> None:
        self.events.append(Event(self._now(), "next", value))

    def _error(self, error: Exception) -> None:
        self.events.append(Event(self._now(), "error", comparable(error)))

    def _completed(self) -> None:
        self.events.append(Event(self._now(), "completed"))


def comparable(error: BaseException | type[BaseException]) -> tuple[type[BaseException], object]:
    """What errors are compared by: their type and arguments. A type alone stands for all errors of that very type."""
    if isinstance(error, type):
        return error, _ANYTHING
    return type(error), tuple([comparable(one) if isinstance(one, BaseException) else one for one in error.args])


class _Anything:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


_ANYTHING = _Anything()
