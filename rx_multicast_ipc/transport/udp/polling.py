"""How long a thread polls for messages before it sleeps."""

from __future__ import annotations

import math
from typing import Final, Literal

ANSWERED: Final = 100e-6
"""Seconds to poll for an answer, about what it costs two processors to sleep and to be woken: so one that does not come
wastes no more than was to be saved (A. R. Karlin et al., "Competitive randomized algorithms for nonuniform problems",
1990; Linux polls in the same way before a virtual processor halts, ``halt_poll_ns``)."""


class Polling:
    """Told of each turn of the thread that may matter; all times are seconds of one clock.

    Args:
        seconds: to poll after each turn that read something. Or "auto": polls for :data:`ANSWERED` after a turn that
            sent something, as long as what was sent before was answered within that time.

    Attributes:
        watches: whether :meth:`turned` is to be told of the next turn although nothing is sent in it.
        until: when the thread may sleep.
    """

    __slots__ = ("_answers_soon", "_seconds", "_sent", "until", "watches")

    def __init__(self, seconds: float | Literal["auto"]) -> None:
        self._seconds = None if isinstance(seconds, str) else seconds
        self.watches = bool(self._seconds)
        self.until = self._sent = -math.inf
        self._answers_soon = False

    def turned(self, woke: float, now: float, *, read: bool, sent: bool) -> None:
        """A turn of the thread is over.

        Args:
            woke: when it had ended to wait or to poll.
            now: when it was over.
            read: whether it brought a message.
            sent: whether it sent one.
        """
        if self._seconds is not None:
            if read and self._seconds:
                self.until = now + self._seconds
            return
        if read and self.watches:
            self._answers_soon = woke - self._sent < ANSWERED
            self.watches = False
            if not self._answers_soon:
                self.until = -math.inf
        if sent:
            self._sent = now
            self.watches = True
            self.until = now + ANSWERED if self._answers_soon else -math.inf

    def missed(self) -> None:
        """Nothing came while it polled, or nothing more than an answer."""
        if self.watches:
            self._answers_soon = False
        self.until = -math.inf
