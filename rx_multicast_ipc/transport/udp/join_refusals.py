"""Which interfaces refused a membership, and when to try again. Pure: time is passed in."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Final, NamedTuple

from .interfaces import Nic

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
"""Seconds, between which the pauses between two tries grow at an interface that goes on refusing."""


class _Refusal(NamedTuple):
    """An interface that could not be joined.

    Attributes:
        nic: how it was then.
        pause: seconds until the next try.
        until: when that is.
    """

    nic: Nic
    pause: float
    until: float


class JoinRefusals:
    """Doubles the pause with each refusal, until the interface has changed."""

    def __init__(self) -> None:
        self._all: dict[int, _Refusal] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def may_try(self, nic: Nic, now: float) -> bool:
        """Whether the interface did not refuse a short while ago, or has changed since."""
        before = self._all.get(nic.number)
        return before is None or before.nic != nic or now >= before.until

    def add(self, nic: Nic, now: float) -> None:
        """It refused."""
        before = self._all.get(nic.number)
        pause = _FIRST_PAUSE if before is None or before.nic != nic else min(2 * before.pause, _LONGEST_PAUSE)
        self._all[nic.number] = _Refusal(nic, pause, now + pause)

    def keep(self, numbers: Container[int]) -> None:
        """Forget all other interfaces."""
        self._all = {number: refusal for number, refusal in self._all.items() if number in numbers}

    def forget(self, number: int) -> None:
        """The interface was joined."""
        self._all.pop(number, None)

    def clear(self) -> None:
        """Something changed, so any of them may be tried."""
        self._all.clear()

    def next_try(self) -> float:
        """When the first of them is to be tried again; infinity for never."""
        return min((refusal.until for refusal in self._all.values()), default=math.inf)
