"""A few seconds of a stream as a list."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from ..blocking_run import run
from ..channel import Channel
from ..errors import InvalidOption
from ..message import Message
from ..validation.arguments import check_flag, check_timeout
from .cell_progress import Progress
from .observable_argument import Source, observable_of

_T = TypeVar("_T")

_TICK = 0.2
"""Seconds between two changes of what tells how far it has come."""


@overload
def collect(source: Channel, seconds: float, *, progress: bool = True) -> list[Message]: ...
@overload
def collect(source: Observable[_T], seconds: float, *, progress: bool = True) -> list[_T]: ...
def collect(source: Source, seconds: float, *, progress: bool = True) -> list[Any]:
    """Block for ``seconds``, or until ``source`` ends, and return what it delivered: ``Message`` records, or values.

    All of it is kept in memory. An interrupt of the kernel ends it. In a notebook a bar shows how far it has come.

    Args:
        source: a ``Channel``, or any Observable.
        seconds: how long, on the wall clock.
        progress: whether to show the bar.

    Raises:
        InvalidOption: at once, for what is no source or no number of seconds.
        WouldDeadlock: called by a subscriber on a delivering thread.
        Exception: whatever ``source`` ended with.
    """
    observable = observable_of(source)
    check_flag("progress", progress)
    duration = check_timeout(seconds)
    if duration is None:
        raise InvalidOption("seconds is a number of seconds; for ever would fill the memory: use live() to watch")
    heard: list[Any] = []
    end = observable.pipe(ops.take_with_time(duration), ops.do_action(heard.append), ops.ignore_elements())
    bar = Progress(duration)
    if progress and bar.watched:
        ticks = rx.interval(_TICK).pipe(ops.do_action(lambda _: bar.show(len(heard))), ops.ignore_elements())
        end = end.pipe(ops.default_if_empty(None), ops.merge(ticks), ops.take(1))
    try:
        run(end.pipe(ops.default_if_empty(None)))
    finally:
        bar.end(len(heard))
    return heard
