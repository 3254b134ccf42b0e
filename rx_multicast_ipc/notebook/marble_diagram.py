"""Marble diagrams of streams: what was delivered when, by whom."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops
from reactivex.notification import Notification, OnError, OnNext
from reactivex.scheduler import VirtualTimeScheduler

from ..blocking_run import run
from ..channel import Channel
from ..errors import InvalidOption
from ..testing import Event, Recording
from ..testing.virtual_clock import check_virtual_clock
from ..validation.arguments import check_timeout, shown
from .marble_drawing import draw_svg, draw_text
from .marble_lanes import Lane, by_name, by_sender
from .observable_argument import Source, observable_of

Recorded = Recording | Sequence[Event]
"""What was seen before: a recording of :class:`rx_multicast_ipc.testing.Marbles`, or its events."""


def marbles(
    source: Source | Recorded | Mapping[str, Source | Recorded],
    seconds: float | None = None,
    *,
    scheduler: VirtualTimeScheduler | None = None,
) -> MarbleDiagram:
    """Record ``source`` for some seconds, or take what was recorded, and draw it: one lane a sender.

    All lanes have one clock, which begins with the recording. A lane of more than 80 items is drawn as bars, of how
    many there were.

        marbles(channel, 5)
        marbles({"asked": recording, "answered": other})

    Args:
        source: a ``Channel`` or any Observable, or a recording. Or several by name: then each is one lane.
        seconds: how long to record, blocking (or until all have ended); and how long the picture is, which for
            recordings need not be given.
        scheduler: the virtual clock, which is advanced by so many seconds; None for the wall clock.

    Raises:
        InvalidOption: at once, for what is no source, or nothing to record for.
        WouldDeadlock: called by a subscriber on a delivering thread.
    """
    duration = check_timeout(seconds)
    if scheduler is not None:
        check_virtual_clock(scheduler)
    named: dict[str, Any] = dict(source) if isinstance(source, Mapping) else {"": source}
    events = {name: list(_events(one)) for name, one in named.items() if not isinstance(one, Channel | Observable)}
    streams = {name: observable_of(one) for name, one in named.items() if name not in events}
    if streams:
        if duration is None:
            raise InvalidOption(
                "marbles() of a stream needs seconds: how long it records; for example marbles(channel, 5)"
            )
        events.update(_record(streams, duration, scheduler))
    several = isinstance(source, Mapping)
    lanes = [by_name(name, events[name]) for name in named] if several else by_sender(events[""])
    latest = max((event.time for seen in events.values() for event in seen), default=0.0)
    return MarbleDiagram(lanes, latest if duration is None else max(duration, latest))


class MarbleDiagram:
    """A picture of lanes on one clock: SVG in a notebook, text everywhere else.

    Attributes:
        lanes: what is drawn.
        seconds: how long the clock runs.
    """

    def __init__(self, lanes: list[Lane], seconds: float) -> None:
        self.lanes = lanes
        self.seconds = seconds

    @property
    def svg(self) -> str:
        """The picture, to be kept as a file of its own."""
        return draw_svg(self.lanes, self.seconds)

    def __repr__(self) -> str:
        return draw_text(self.lanes, self.seconds)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:  # the SVG in the page itself follows the notebook's theme
        return self.svg


def _events(recorded: Any) -> Sequence[Event]:
    events: Any = recorded.events if isinstance(recorded, Recording) else recorded
    if isinstance(events, list | tuple) and all(isinstance(event, Event) for event in cast("Sequence[Any]", events)):
        return cast("Sequence[Event]", events)
    raise InvalidOption(
        "marbles() draws a Channel, an Observable, a Recording, events of one, or a dict of those, not "
        f"{shown(recorded)}"
    )


def _record(
    streams: Mapping[str, Observable[Any]], seconds: float, scheduler: VirtualTimeScheduler | None
) -> dict[str, list[Event]]:
    def clock() -> float:
        return time.monotonic() if scheduler is None else scheduler.to_seconds(scheduler.now)

    start = clock()

    def told(name: str) -> Callable[[Notification[Any]], tuple[str, Event]]:
        return lambda notification: (name, _event(round(clock() - start, 6), notification))

    together = rx.merge(*(stream.pipe(ops.materialize(), ops.map(told(name))) for name, stream in streams.items()))
    seen: list[tuple[str, Event]] = []
    if scheduler is None:
        seen = run(together.pipe(ops.take_with_time(seconds), ops.to_list()))
    else:
        subscription = together.subscribe(seen.append, scheduler=scheduler)
        scheduler.advance_by(seconds)
        subscription.dispose()
    return {name: [event for whose, event in seen if whose == name] for name in streams}


def _event(at: float, notification: Notification[Any]) -> Event:
    if isinstance(notification, OnNext):
        return Event(at, "next", notification.value)
    if isinstance(notification, OnError):
        return Event(at, "error", (type(notification.exception), notification.exception.args))
    return Event(at, "completed")
