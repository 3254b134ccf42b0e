"""Marbles: streams written and recorded as text, at exact virtual times.

    -    one frame passes
    a    a value, at this frame
    (ab) several values at the frame of the bracket; the frames it is wide pass after it
    |    completion, at this frame
    #    an error, at this frame

Spaces only line things up. The first character is time 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.subject import Subject

from ..errors import InvalidOption

Kind = Literal["next", "error", "completed"]

_DEFAULT_ERROR = RuntimeError("#")


class Event(NamedTuple):
    """One notification.

    Attributes:
        time: virtual seconds.
        kind: what it was.
        value: the value; for an error ``(type, text)``, so that errors compare by both; else None.
    """

    time: float
    kind: Kind
    value: Any = None


class Recording:
    """What one subscription saw.

    Attributes:
        events: so far, in order.
    """

    def __init__(self, source: Observable[Any], now: Callable[[], float], scheduler: SchedulerBase) -> None:
        self.events: list[Event] = []
        self._now = now
        self._subscription = source.subscribe(self._next, self._error, self._completed, scheduler=scheduler)

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
        self.events.append(Event(self._now(), "error", (type(error), str(error))))

    def _completed(self) -> None:
        self.events.append(Event(self._now(), "completed"))


class Marbles:
    """Streams from text, and recordings, on one virtual clock.

    Args:
        scheduler: the clock; streams and recordings begin at its present time.
        frame: seconds that one character stands for. Times are rounded to whole microseconds, the
            scheduler's resolution.
    """

    def __init__(self, scheduler: VirtualTimeScheduler, *, frame: float = 1.0) -> None:
        if frame <= 0:
            raise InvalidOption(f"frame is a number of seconds, more than 0, not {frame!r}")
        self.scheduler = scheduler
        self.frame = frame

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return round(self.scheduler.to_seconds(self.scheduler.now), 6)

    def events(
        self, text: str, values: Mapping[str, Any] | None = None, *, error: Exception = _DEFAULT_ERROR
    ) -> list[Event]:
        """What a recording of this stream, begun now, will have seen.

        Args:
            text: the marbles.
            values: what each letter stands for; itself if it is not there.
            error: what ``#`` stands for.
        """
        start = self.now
        return [
            Event(round(start + time, 6), kind, (type(error), str(error)) if kind == "error" else value)
            for time, kind, value in self._parse(text, values or {})
        ]

    def hot(
        self, text: str, values: Mapping[str, Any] | None = None, *, error: Exception = _DEFAULT_ERROR
    ) -> Observable[Any]:
        """A stream that runs from now on, whoever is subscribed. Arguments as for :meth:`events`."""
        subject: Subject[Any] = Subject()
        self._schedule(text, values, error, subject)
        return subject

    def cold(
        self, text: str, values: Mapping[str, Any] | None = None, *, error: Exception = _DEFAULT_ERROR
    ) -> Observable[Any]:
        """A stream that runs anew for each subscriber. Arguments as for :meth:`events`."""

        def subscribe(observer: ObserverBase[Any], scheduler: SchedulerBase | None = None) -> DisposableBase:
            return self._schedule(text, values, error, observer)

        return Observable(subscribe)

    def record(self, source: Observable[Any]) -> Recording:
        """Subscribe now and keep what comes."""
        return Recording(source, lambda: self.now, self.scheduler)

    def _schedule(
        self, text: str, values: Mapping[str, Any] | None, error: Exception, observer: ObserverBase[Any]
    ) -> DisposableBase:
        def play(kind: Kind, value: Any) -> None:
            if kind == "next":
                observer.on_next(value)
            elif kind == "error":
                observer.on_error(error)
            else:
                observer.on_completed()

        return CompositeDisposable(
            *(
                self.scheduler.schedule_relative(
                    time, lambda _scheduler, _state, kind=kind, value=value: play(kind, value)
                )
                for time, kind, value in self._parse(text, values or {})
            )
        )

    def _parse(self, text: str, values: Mapping[str, Any]) -> Iterator[Event]:
        group_start: int | None = None
        for index, mark in enumerate(text.replace(" ", "")):
            time = round((index if group_start is None else group_start) * self.frame, 6)
            if mark == "(" and group_start is None:
                group_start = index
            elif mark == ")" and group_start is not None:
                group_start = None
            elif mark == "|":
                yield Event(time, "completed")
            elif mark == "#":
                yield Event(time, "error")
            elif mark.isalnum():
                yield Event(time, "next", values.get(mark, mark))
            elif mark != "-" or group_start is not None:
                raise InvalidOption(
                    f"{mark!r} at {index} of {text!r} is no marble: use -, letters, digits, ( ), | and #"
                )
