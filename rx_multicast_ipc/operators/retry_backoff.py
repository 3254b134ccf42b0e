"""Trying again after a growing pause."""

from __future__ import annotations

from collections.abc import Callable
from random import Random, SystemRandom
from typing import TypeVar
from weakref import WeakKeyDictionary

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, SerialDisposable, SingleAssignmentDisposable
from reactivex.scheduler import TimeoutScheduler, VirtualTimeScheduler

from ..errors import InvalidOption, MessageTimeout, SendFailed
from ..validation.arguments import check_count, check_observable, check_seconds, shown
from ..validation.stream import Stream

_T = TypeVar("_T")

_JITTER = 0.5
"""The part of a pause that is drawn, so that many who failed together do not try again together."""

_random = SystemRandom()
"""Not the ``random`` module's own: a thread that draws from that changes what a seeded program draws."""

_in_virtual_time: WeakKeyDictionary[SchedulerBase, Random] = WeakKeyDictionary()
"""Of each virtual clock, so that the same program waits for the same times."""


def retry_with_backoff(
    attempts: int = 5,
    *,
    first: float = 0.1,
    longest: float = 10.0,
    errors: type[Exception] | tuple[type[Exception], ...] = (SendFailed, MessageTimeout),
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Subscribe again after an error, each time after twice the pause before.

    For a send while a link is down, or a request that nobody answered: ``ops.retry`` tries again at once.
    On a virtual clock the pauses are the same in each run.

    Args:
        attempts: subscriptions in all.
        first: seconds of the first pause, by the subscription's scheduler. Half of each pause is drawn at random.
        longest: seconds of the longest pause.
        errors: what is tried again after; others end the stream.

    Raises:
        InvalidOption: at once.
        Exception: from the Observable, the last attempt's.
    """
    check_count("attempts", attempts, "attempts")
    check_seconds("first", first)
    if check_seconds("longest", longest) < first:
        raise InvalidOption(f"longest ({longest:g} s) must be no shorter than first ({first:g} s)")
    kinds = errors if isinstance(errors, tuple) else (errors,)
    if not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        raise InvalidOption(f"errors is a type of exception, or a tuple of them, not {shown(errors)}")

    def operator(source: Observable[_T]) -> Observable[_T]:
        check_observable("retry_with_backoff() is applied to", source, "send.pipe(retry_with_backoff(5))")

        def subscribe(observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
            clock = scheduler or TimeoutScheduler.singleton()
            random = _random_of(clock)
            subscription, timer = SerialDisposable(), SerialDisposable()
            failed = 0
            pause = first

            def attempt(_scheduler: object = None, _state: object = None) -> None:
                # In its place before it starts: it may fail, and the next one start, before subscribe returns.
                subscription.disposable = tried = SingleAssignmentDisposable()
                tried.disposable = source.subscribe(
                    observer.on_next, on_error, observer.on_completed, scheduler=scheduler
                )

            def on_error(error: Exception) -> None:
                nonlocal failed, pause
                failed += 1
                if failed == attempts or not isinstance(error, kinds):
                    observer.on_error(error)
                    return
                drawn = pause * (1 - _JITTER * random.random())
                pause = min(longest, 2 * pause)
                timer.disposable = clock.schedule_relative(drawn, attempt)

            attempt()
            return CompositeDisposable(subscription, timer)

        return Stream(subscribe)

    return operator


def _random_of(clock: SchedulerBase) -> Random:
    return _in_virtual_time.setdefault(clock, Random(0)) if isinstance(clock, VirtualTimeScheduler) else _random
