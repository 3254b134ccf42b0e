"""Scripted streams, which keep who subscribed to them and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.subject import Subject

from .marble_grammar import Script, Span
from .recorded_events import Event

_T = TypeVar("_T")


class Subscriptions:
    """Who subscribed to a scripted stream, and when.

    Attributes:
        spans: the subscriptions in the order in which they were made; times in virtual seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.spans: list[Span] = []
        self._now = now

    def begin(self) -> DisposableBase:
        """Note a subscription; disposing of the result notes its end."""
        number = len(self.spans)
        self.spans.append(Span(self._now()))

        def end() -> None:
            self.spans[number] = self.spans[number]._replace(end=self._now())

        return Disposable(end)


class Hot(Observable[_T]):
    """Runs from ``start`` on, whoever is subscribed.

    Attributes:
        subscriptions: for :meth:`Marbles.expect`.
        unplayed: how many of its events are still to come.
    """

    def __init__(self, script: Script, start: float, now: Callable[[], float], scheduler: VirtualTimeScheduler) -> None:
        super().__init__()
        self.script = script
        self.start = start
        self.subscriptions = Subscriptions(now)
        self.unplayed = len(script.events)
        self._subject: Subject[_T] = Subject()
        for event in script.events:
            scheduler.schedule_absolute(start + event.time, self._player(event))

    def _player(self, event: Event) -> Callable[[SchedulerBase, Any], None]:
        def play(_scheduler: SchedulerBase, _state: Any) -> None:
            self.unplayed -= 1
            notify(self._subject, event, self.script)

        return play

    def _subscribe_core(self, observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
        span = self.subscriptions.begin()
        return CompositeDisposable(self._subject.subscribe(observer), span)


class Cold(Observable[_T]):
    """Runs anew for each subscriber.

    Attributes:
        subscriptions: for :meth:`Marbles.expect`.
    """

    def __init__(self, script: Script, now: Callable[[], float], scheduler: VirtualTimeScheduler) -> None:
        super().__init__()
        self.script = script
        self.subscriptions = Subscriptions(now)
        self._scheduler = scheduler

    def _subscribe_core(self, observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
        def player(event: Event) -> Callable[[SchedulerBase, Any], None]:
            return lambda _scheduler, _state: notify(observer, event, self.script)

        span = self.subscriptions.begin()
        events = (self._scheduler.schedule_relative(event.time, player(event)) for event in self.script.events)
        return CompositeDisposable(span, *events)


def notify(observer: ObserverBase[Any], event: Event, script: Script) -> None:
    if event.kind == "next":
        observer.on_next(event.value)
    elif event.kind == "error":
        assert isinstance(script.error, Exception)
        observer.on_error(script.error)
    else:
        observer.on_completed()
