"""What ends who would ask a closed channel for ever."""

from __future__ import annotations

import threading
import weakref
from typing import Any, Final

from reactivex.abc import ObserverBase, SchedulerBase

_MOST_REFUSALS: Final = 1000
"""How often in a row a stream of a closed channel errs to one who subscribes again at once."""


class EndsRetries:
    """Errs to who subscribes to a closed channel, and completes for who never stops: ``ops.retry()`` without a number.

    It would subscribe again and again on the thread that closes the channel, which then never ended.
    """

    _refusals = 0
    _refused: tuple[int, weakref.ref[SchedulerBase] | None] | None = None

    def refuse(self, observer: ObserverBase[Any], error: Exception, scheduler: SchedulerBase | None = None) -> None:
        """Tell a subscriber, which brought ``scheduler``, that it came too late."""
        asking = threading.get_ident(), None if scheduler is None else weakref.ref(scheduler)
        self._refusals = self._refusals + 1 if asking == self._refused else 1
        self._refused = asking
        if self._refusals > _MOST_REFUSALS:
            observer.on_completed()
        else:
            observer.on_error(error)
