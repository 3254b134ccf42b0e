"""The way out of Rx to blocking code."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TypeVar

from reactivex import Observable
from reactivex.internal.exceptions import SequenceContainsNoElementsError

from .channel_scheduler import TimerScheduler
from .errors import MessageTimeout, WouldDeadlock
from .subscribing.deadlocks import BLOCKED, Blocking, blocked_loop, on_reading_loop, stopped_clock
from .subscribing.never_subscribed import ColdObservable
from .subscribing.subscriber_errors import on_delivering_thread
from .validation.arguments import check_observable, check_timeout

_T = TypeVar("_T")

_INTERRUPT_CHECK = 0.5
"""Seconds: Windows notices Ctrl-C only between two waits."""


def run(source: Observable[_T], *, timeout: float | None = None) -> _T:
    """Subscribe, block until ``source`` ends, and return its last value.

    It starts no thread: timers of operators in ``source`` run on the calling thread. Ctrl-C and a time-out
    dispose of the subscription; an interrupt while ``source`` is still being subscribed to leaves what it set
    up so far to the end of the interpreter.

    Args:
        source: what to wait for.
        timeout: seconds; None waits for ever.

    Raises:
        InvalidOption: at once, for what is no Observable.
        MessageTimeout: ``source`` did not end in time.
        WouldDeadlock: called by a subscriber on a channel's delivering thread, or on an event loop that reads a
            channel, which would wait for itself; or, without a timeout, ``source`` waits for a virtual clock, which
            nobody moves meanwhile.
        reactivex.internal.SequenceContainsNoElementsError: ``source`` ended without a value.
        Exception: whatever ``source`` ended with.
    """
    check_observable("run() takes", source, 'run(channel.broadcast("x")), or run(channel.wait_for_message())')
    timeout = check_timeout(timeout)
    if on_delivering_thread():
        raise WouldDeadlock(
            "run() in a subscriber would wait for the thread that it blocks; "
            "return the Observable from flat_map instead, or deliver elsewhere with ops.observe_on"
        )
    if on_reading_loop():
        raise blocked_loop()
    if isinstance(source, ColdObservable):
        found: tuple[_T] | None = source.at_once()
        if found is not None:
            return found[0]
    changed = threading.Event()
    values: deque[_T] = deque(maxlen=1)
    ends: list[Exception | None] = []

    def end(error: Exception | None = None) -> None:
        ends.append(error)
        changed.set()

    scheduler = TimerScheduler(changed.set)
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    blocking, outer = Blocking(), BLOCKED.blocking
    try:
        BLOCKED.blocking = blocking
        subscription = source.subscribe(values.append, end, end, scheduler=scheduler)
        try:
            while not ends:
                changed.clear()  # first, so that what happens from here on ends the wait
                scheduler.run_due(time.monotonic())
                pause = scheduler.until_next()
                left = deadline - time.monotonic()
                if left <= 0:
                    subscription.dispose()  # first: what it had delivered by then still counts
                if timeout is not None and left <= 0 and not ends:
                    raise MessageTimeout(timeout, "end of the Observable")
                if blocking.on_virtual_time and timeout is None and pause is None and not ends:
                    raise stopped_clock()
                if not ends:
                    changed.wait(min(left, _INTERRUPT_CHECK, _INTERRUPT_CHECK if pause is None else pause))
        finally:
            subscription.dispose()
    finally:
        BLOCKED.blocking = outer  # not by a call, which a signal could keep from being made
    error = ends[0]
    if error is not None:
        raise error
    if not values:
        raise SequenceContainsNoElementsError("the Observable completed without a value")
    return values[0]
