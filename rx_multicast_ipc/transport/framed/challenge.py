"""What a receiver does not believe a sender until it has confirmed it."""

from __future__ import annotations

import math
from random import Random
from typing import Final

_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.5
"""Seconds between two challenges: each time twice as many."""


class Challenge:
    """A random number for the sender to repeat: only who hears what is sent to it alone knows it.

    Attributes:
        at: when it is to be sent; infinity for never.
    """

    def __init__(self, random: Random) -> None:
        self.at = math.inf
        self._random = random
        self._number = 0
        self._pause = _PAUSE

    def doubt(self, now: float) -> None:
        """Something came that is to be confirmed."""
        if self.at == math.inf:
            self.at = now

    def ask(self, now: float) -> int:
        """The number to be sent now."""
        self._number = self._number or self._random.getrandbits(64) | 1
        self.at = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return self._number

    def current(self) -> int:
        """The number that is yet to be answered, or 0."""
        return self._number

    def is_answered_by(self, number: int) -> bool:
        """Whether this is the answer; then the doubt is over."""
        if not number or number != self._number:
            return False
        self.settle()
        return True

    def settle(self) -> None:
        """There is nothing to be confirmed any more."""
        self._number, self.at, self._pause = 0, math.inf, _PAUSE
