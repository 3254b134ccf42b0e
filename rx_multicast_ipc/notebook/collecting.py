"""A few seconds of a stream as a list."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from reactivex import Observable
from reactivex import operators as ops

from ..blocking_run import run
from ..channel import Channel
from ..errors import InvalidOption
from ..message import Message
from ..validation.arguments import check_timeout
from .observable_argument import Source, observable_of

_T = TypeVar("_T")


@overload
def collect(source: Channel, seconds: float) -> list[Message]: ...
@overload
def collect(source: Observable[_T], seconds: float) -> list[_T]: ...
def collect(source: Source, seconds: float) -> list[Any]:
    """Block for ``seconds``, or until ``source`` ends, and return what it delivered: ``Message`` records, or values.

    All of it is kept in memory. An interrupt of the kernel ends it.

    Args:
        source: a ``Channel``, or any Observable.
        seconds: how long, on the wall clock.

    Raises:
        InvalidOption: at once, for what is no source or no number of seconds.
        WouldDeadlock: called by a subscriber on a delivering thread.
        Exception: whatever ``source`` ended with.
    """
    observable = observable_of(source)
    duration = check_timeout(seconds)
    if duration is None:
        raise InvalidOption("seconds is a number of seconds; for ever would fill the memory: use live() to watch")
    return run(observable.pipe(ops.take_with_time(duration), ops.to_list()))
