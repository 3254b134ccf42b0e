"""Finds out whether a subscription would be waited for by the very thread that it waits for.

There are three ways to block until a stream ends: ``run``, reactivex' ``Observable.run`` and ``asyncio.run``. The
first refuses on a delivering thread by itself. The others are noticed when they subscribe to something of a channel:
the blocking call is on the stack (or on a delivering thread's, for operators that subscribe on a thread of their own),
or an event loop runs on the thread. In virtual time it is the clock that stands still while somebody blocks.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from types import CodeType, FrameType
from typing import Final

from reactivex.abc import SchedulerBase
from reactivex.scheduler import EventLoopScheduler, VirtualTimeScheduler

from ..errors import WouldDeadlock
from .subscriber_errors import HERE, DeliveringThread, on_delivering_thread

# Not `from reactivex import run`, which is the function.
_OBSERVABLE_RUN: Final = importlib.import_module("reactivex.run").run.__code__

_EVENT_LOOP: Final = EventLoopScheduler.run.__code__
"""What the threads do that ``Observable.run`` has operators subscribe on."""


class Blocking:
    """A call that blocks until a stream ends.

    Attributes:
        on_virtual_time: whether something in the stream waits for a virtual clock.
    """

    def __init__(self) -> None:
        self.on_virtual_time = False


class _Here(threading.local):
    """What this thread does.

    Attributes:
        blocking: the innermost call that blocks it; set, and set back, by that call.
    """

    blocking: Blocking | None = None


BLOCKED: Final = _Here()

_reading: dict[object, asyncio.AbstractEventLoop] = {}
"""Who reads a channel on an event loop, and on which. By reader, and no count a loop, so that any thread may say so."""


def loop_reads(loop: asyncio.AbstractEventLoop, reader: object) -> None:
    """``loop`` reads a channel for ``reader``, and who blocks it waits in vain."""
    _reading[reader] = loop


def loop_reads_no_more(reader: object) -> None:
    """No loop does so for ``reader``."""
    _reading.pop(reader, None)


def on_reading_loop() -> bool:
    """Whether the caller is on an event loop that reads a channel."""
    return bool(_reading) and asyncio._get_running_loop() in tuple(_reading.values())  # pyright: ignore


def deadlock(clock: SchedulerBase | None = None) -> WouldDeadlock | None:
    """The error for a subscription on this thread that has to wait, if it would do so for ever.

    Args:
        clock: the scheduler of what it waits for, if that may be a virtual one.
    """
    on_virtual_time = isinstance(clock, VirtualTimeScheduler)
    if on_delivering_thread():
        if asyncio._get_running_loop() is not HERE.loop or _is_in(_OBSERVABLE_RUN, sys._getframe()):  # pyright: ignore
            return _waits_for_itself()
    elif on_reading_loop() and _is_in(_OBSERVABLE_RUN, sys._getframe()):  # pyright: ignore[reportPrivateUsage]
        return blocked_loop()
    elif on_virtual_time and BLOCKED.blocking is not None:
        BLOCKED.blocking.on_virtual_time = True
    elif on_virtual_time and _is_in(_OBSERVABLE_RUN, sys._getframe()):  # pyright: ignore[reportPrivateUsage]
        return stopped_clock()
    elif threading.current_thread() is not threading.main_thread() and _is_in(_EVENT_LOOP, sys._getframe()):  # pyright: ignore
        running = [
            thread
            for thread in threading.enumerate()
            if (on_virtual_time or isinstance(thread, DeliveringThread))
            and _is_in(_OBSERVABLE_RUN, sys._current_frames().get(thread.ident or 0))  # pyright: ignore
        ]
        if running:
            return stopped_clock() if on_virtual_time else _waits_for_itself()
    return None


def _waits_for_itself() -> WouldDeadlock:
    return WouldDeadlock(
        "blocking in a subscriber would wait for the thread that it blocks; "
        "return the Observable from flat_map instead, or deliver elsewhere with ops.observe_on"
    )


def blocked_loop() -> WouldDeadlock:
    """The error for who blocks an event loop that reads a channel."""
    return WouldDeadlock(
        'blocking on an event loop that reads a channel (read_on="loop") would wait for itself; await the Observable '
        "instead"
    )


def stopped_clock() -> WouldDeadlock:
    """The error for who blocks until something happens in virtual time."""
    return WouldDeadlock(
        "nothing moves the virtual clock while this thread blocks; subscribe (in a test: marbles.expect), "
        "then run the clock with advance_by or start"
    )


def _is_in(code: CodeType, frame: FrameType | None) -> bool:
    """Whether a call of ``code`` is under way in ``frame`` or below it."""
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False
