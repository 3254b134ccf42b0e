"""Cold streams that warn when they are thrown away and were never subscribed to."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from typing import Any, TypeVar

from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable
from reactivex.typing import Subscription

from ..errors import ChannelClosed, NeverSubscribedWarning
from ..validation.stream import Stream
from .ended_retries import EndsRetries

_T = TypeVar("_T")


class ColdObservable(EndsRetries, Stream[_T]):
    """Does its work at every subscription, and warns if there never was one.

    Args:
        subscribe: does it; raises ``ChannelClosed`` if it is too late for that.
        what: the work, for people: ``"request of b'x'"``; None for one that is no loss.
    """

    _subscribed = True  # until it is whole, and for one that is no loss

    def __init__(self, subscribe: Subscription[_T], what: str | None) -> None:
        super().__init__(subscribe)
        self._what = what
        self._subscribed = what is None

    def _subscribe_core(self, observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
        self._subscribed = True
        try:
            return super()._subscribe_core(observer, scheduler)
        except ChannelClosed as error:
            self.refuse(observer, error, scheduler)
            return Disposable()

    def at_once(self) -> tuple[_T] | None:
        """The one value, for who blocks or awaits, if it can be had without waiting: then nothing is left to subscribe.

        Raises what a subscriber would be told.
        """
        return None

    def __await__(self) -> Generator[Any, None, _T]:
        found = self.at_once()
        if found is not None:
            return found[0]
        return (yield from super().__await__())

    @property
    def _shown(self) -> str:
        """What it does, for people."""
        return self._what or "a stream"

    def __repr__(self) -> str:
        hint = "" if self._subscribed else "; nothing happens before it is subscribed to, awaited or passed to run()"
        return f"<{self._shown}{hint}>"

    def __del__(self) -> None:
        if not self._subscribed:
            warnings.warn(
                f"{self._shown} was never subscribed, so nothing happened; "
                "pass it to run(), await it, subscribe() to it, or return it from flat_map "
                "(a fallback that may not be needed belongs in reactivex.defer)",
                NeverSubscribedWarning,
                stacklevel=2,
                source=self,
            )
