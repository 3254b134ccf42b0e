"""How much strangers can make this process do: answer, and log."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final
from weakref import WeakSet

from .bounded_map import BoundedMap

Clock = Callable[[], float]
"""Seconds on a clock that only goes forward."""

_HOSTS: Final = 1_000
"""Hosts whose limits are kept apart. One that is forgotten starts anew, within the limit of all together."""

_UNIT: Final = 4_096
"""Bytes up to which an answer counts as one; a longer one counts in proportion."""


class RateLimit:
    """A token bucket: ``rate`` a second for long, ``burst`` at once.

    Args:
        rate: units a second.
        burst: units at once after a pause.
        clock: tells the time in seconds.
    """

    __slots__ = ("_burst", "_clock", "_left", "_rate", "_then")

    def __init__(self, rate: float, burst: float, clock: Clock = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._then = clock()

    def allows(self, cost: float = 1.0) -> bool:
        """Whether ``cost`` units more are within the limit; they are counted if so."""
        now = self._clock()
        self._left = min(self._burst, self._left + max(0.0, now - self._then) * self._rate)
        self._then = now
        if self._left < min(cost, self._burst):  # what costs more than a burst must be possible, too
            return False
        self._left -= cost
        return True


class AnswerLimit:
    """How much may be sent to addresses that datagrams gave, which may be forged.

    Each host (not each port, for a sender is free to choose) gets at most ``RATE`` answers a second, and all hosts
    together at most ``TOTAL``. An answer of more than 4 KiB counts as several.
    """

    RATE: Final = 100
    BURST: Final = 50
    TOTAL: Final = 400

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._total = RateLimit(self.TOTAL, self.TOTAL, clock)
        self._hosts: BoundedMap[str, RateLimit] = BoundedMap(_HOSTS)

    def allows(self, host: str, size: int) -> bool:
        """Whether ``size`` bytes may be sent to ``host`` now."""
        cost = max(1.0, size / _UNIT)
        limit = self._hosts.use(host, lambda _: RateLimit(self.RATE, self.BURST, self._clock))
        return limit.allows(cost) and self._total.allows(cost)


_log_limits: Final[WeakSet[LogLimit]] = WeakSet()


class LogLimit:
    """At most one line of each kind a second; those between are counted, and told with the next one.

    Args:
        log: takes a line.
        clock: tells the time in seconds.
    """

    _PAUSE: Final = 1.0
    _KINDS: Final = 100

    def __init__(self, log: Callable[[str], None], clock: Clock = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._kinds: BoundedMap[str, _Kind] = BoundedMap(self._KINDS)
        self.renew_lock()
        _log_limits.add(self)

    def renew_lock(self) -> None:
        """Forget who held the lock: nobody of this process, which was forked meanwhile."""
        self._lock = threading.RLock()  # a signal handler may log while its thread does

    def log(self, kind: str, make_line: Callable[[], str]) -> None:
        """Log what ``make_line`` returns, or count it. The line is made only if it is logged."""
        now = self._clock()
        with self._lock:
            state = self._kinds.use(kind, lambda _: _Kind())
            if state.last is not None and now - state.last < self._PAUSE:
                state.left_out += 1
                return
            state.last = now
            left_out, state.left_out = state.left_out, 0
        before = f" (and {left_out:,} more like it before)" if left_out else ""
        self._log(make_line() + before)  # outside of the lock: handlers are anybody's code

    def flush(self, kind: str) -> None:
        """Tell how many lines were left out since the last one, if any were. This, too, once a second at most."""
        now = self._clock()
        with self._lock:
            state = self._kinds.get(kind)
            if state is None or not state.left_out:
                return
            if state.flushed is not None and now - state.flushed < self._PAUSE:
                return
            state.flushed = now
            left_out, state.left_out = state.left_out, 0
        self._log(f"{kind}: {left_out:,} more like it")


def _forget_locks() -> None:
    for limit in _log_limits:
        limit.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


class _Kind:
    __slots__ = ("flushed", "last", "left_out")

    def __init__(self) -> None:
        self.last: float | None = None
        self.flushed: float | None = None
        self.left_out = 0
