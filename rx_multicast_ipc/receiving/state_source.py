"""An Observable of a state: what it is, at subscription, and then each change."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable, SerialDisposable

from ..errors import ChannelClosed
from ..subscribing.ended_retries import EndsRetries
from ..subscribing.subscriber_errors import detach
from .async_iteration import HotObservable
from .event_loop_delivery import on_its_loop
from .hot_source import HotSource

_T = TypeVar("_T")

_NOTHING: Final[Any] = object()


class StateSource(EndsRetries, HotObservable[_T], Generic[_T]):
    """As a BehaviorSubject, but serial on one thread, and one whose subscribers cannot hurt each other.

    Subscribers get the state that holds when that thread comes to them, then every later one, none twice and in the
    same order for all. A change that a subscriber makes is delivered after the one that it was told of.

    Args:
        refusal: the error that a new subscriber gets instead of taking part, or None.
        call: runs an action on the delivering thread: at once there, else as soon as it is free.
        name: what it delivers, for people.
    """

    def __init__(
        self, refusal: Callable[[], Exception | None], call: Callable[[Callable[[], None]], None], name: str
    ) -> None:
        super().__init__()
        self._refusal = refusal
        self._call = call
        self._changes: HotSource[_T] = HotSource(lambda: None, name)
        self._value: Any = _NOTHING
        self._actions: deque[Callable[[], None]] = deque()
        self._acting = self._stopped = False

    def put(self, value: _T) -> None:
        """The state is ``value`` from now on; on the delivering thread only."""

        def change() -> None:
            self._value = value
            self._changes.emit((value,))

        self._act(change)

    def stop(self) -> None:
        """Deliver nothing more than the call under way; from any thread. Who is subscribed is still told of the end."""
        self._stopped = True
        self._changes.stop()

    def end(self, error: Exception | None = None) -> None:
        """Complete, or err, everybody; on the delivering thread only."""
        self._stopped = True
        self._changes.end(error)

    def __repr__(self) -> str:
        return repr(self._changes)

    def _subscribe_core(self, observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
        refusal = self._refusal()
        if refusal is not None or self._stopped:
            self.refuse(observer, refusal or ChannelClosed(), scheduler)
            return Disposable()
        receiver = on_its_loop(scheduler, observer)
        subscription = SerialDisposable()
        begun = False

        def on_next(value: _T) -> None:
            if begun:
                receiver.on_next(value)

        def begin() -> None:
            nonlocal begun
            if subscription.is_disposed or self._stopped:
                return
            begun = True
            if self._value is not _NOTHING:
                try:
                    receiver.on_next(self._value)
                except BaseException as error:
                    subscription.dispose()
                    detach(receiver.on_error, error)

        # At once, so that it completes if the end comes before the thread does.
        subscription.disposable = self._changes.subscribe(on_next, receiver.on_error, receiver.on_completed)
        self._call(lambda: self._act(begin))
        return subscription

    def _act(self, action: Callable[[], None]) -> None:
        """One after the other: what an action causes comes after it."""
        self._actions.append(action)
        if self._acting:
            return
        self._acting = True
        try:
            while self._actions:
                self._actions.popleft()()
        finally:
            self._acting = False
