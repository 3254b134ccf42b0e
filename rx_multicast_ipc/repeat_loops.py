"""The loops of the npm package ``multicast-ipc``, as Observables with a constant stack."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, TypeVar, cast

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import SerialDisposable

from .errors import InvalidOption
from .validation.arguments import check_callable, shown
from .validation.stream import Stream

_T = TypeVar("_T")


def repeat_while(
    condition: Callable[[_T], object], action: Callable[[_T], Observable[_T] | _T], last_value: _T
) -> Observable[_T]:
    """Cold: as long as ``condition`` holds for the last value, runs ``action`` on it; emits the last value.

    Args:
        condition: gets the last value; any true value goes on.
        action: gets the last value and returns an Observable, whose last value is the next one (the same
            one if it has none), or the next value itself.
        last_value: the first one.

    Raises:
        InvalidOption: at once, for what is no function of one value.
        Exception: from the Observable, whatever ``condition``, ``action`` or its Observable raised.
    """
    example = "repeat_while(lambda n: n < 3, lambda n: n + 1, 0)"
    check_callable("condition", condition, ("the last value",), example)
    check_callable("action", action, ("the last value",), example)

    def subscribe(observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
        loop = _Loop(condition, action, last_value, observer, scheduler)
        loop.turn()
        return loop.turning

    return Stream(subscribe)


def repeat_for(count: int, fn: Callable[[], Any]) -> Observable[int]:
    """Cold: runs ``fn`` ``count`` times, one after the other, and emits the turns that are left: always 0.

    Args:
        count: how many times, 0 or more.
        fn: returns an Observable, which has to complete before the next turn; anything else is over at once.

    Raises:
        InvalidOption: at once, for a count that is no whole number, or what is no function without arguments.
        Exception: from the Observable, whatever ``fn`` or its Observable raised.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        hint = ": the count comes first" if callable(count) else ""
        raise InvalidOption(f"count is a whole number, 0 or more, not {shown(count)}{hint}")
    check_callable("fn", fn, (), 'repeat_for(3, lambda: channel.broadcast("beat"))')

    def subscribe(observer: ObserverBase[int], scheduler: SchedulerBase | None = None) -> DisposableBase:
        left = count

        def turn(_: int) -> Any:
            nonlocal left
            left -= 1
            return fn()

        def finish() -> None:
            observer.on_next(0)
            observer.on_completed()

        return repeat_while(lambda _: left > 0, turn, count).subscribe(
            None, observer.on_error, finish, scheduler=scheduler
        )

    return Stream(subscribe)


class _Loop:
    """One subscription of a loop.

    A turn that completes within its own subscribe is counted, not recursed into: only the caller that found
    the count at 0 takes turns, and it goes on until the count is 0 again.
    """

    def __init__(
        self,
        condition: Callable[[Any], object],
        action: Callable[[Any], Any],
        value: Any,
        observer: ObserverBase[Any],
        scheduler: SchedulerBase | None,
    ) -> None:
        self._condition = condition
        self._action = action
        self._value = value
        self._observer = observer
        self._scheduler = scheduler
        self._lock = RLock()  # a signal handler may be what completes a turn
        self._due = 0
        self.turning = SerialDisposable()

    def turn(self) -> None:
        """Take the next turn, now or, within a turn, after it."""
        with self._lock:
            self._due += 1
            if self._due > 1:
                return
        while not self.turning.is_disposed:
            try:
                if not self._condition(self._value):
                    break
                result = self._action(self._value)
            except Exception as error:
                self._observer.on_error(error)
                return
            if isinstance(result, Observable):
                source = cast("Observable[Any]", result)
                self.turning.disposable = source.subscribe(
                    self._keep, self._observer.on_error, self.turn, scheduler=self._scheduler
                )
                with self._lock:
                    self._due -= 1
                    if self._due == 0:
                        return
            else:
                self._value = result
        else:
            return
        self._observer.on_next(self._value)
        self._observer.on_completed()

    def _keep(self, value: Any) -> None:
        self._value = value
