"""The end of a stream: it lingers until its receivers have everything, for a second at most. Pure."""

from __future__ import annotations

import math
from typing import Final

_LONGEST: Final = 1.0
"""Seconds that an ending stream waits for acknowledgements."""

_LEAST: Final = 0.03
_NOBODY: Final = 0.3
"""Seconds that it waits for receivers that it does not know, where it knows others, and where it knows none: six beats
more, so that one of them and its answer get through."""


class ClosingLinger:
    """How long an ending stream lingers.

    Attributes:
        begun: whether it is ending.
        expects_somebody: whether silence is no sign that nobody is there.
    """

    def __init__(self, *, expects_somebody: bool) -> None:
        self.begun = False
        self.expects_somebody = expects_somebody
        self._began_at = math.inf

    def begin(self, now: float, *, expects_somebody: bool) -> None:
        self.begun = True
        self.expects_somebody = expects_somebody
        self._began_at = now

    def is_over(self, now: float, *, complete: bool, known: bool) -> bool:
        """Whether it has waited long enough.

        Args:
            now: seconds.
            complete: whether everything has gone out, and no known receiver lacks any of it.
            known: whether it waits for any that it knows.
        """
        lingered = now - self._began_at
        return lingered >= _LONGEST or (complete and lingered >= (_LEAST if known else self._for_nobody))

    def next_look(self, looked_at: float) -> float:
        """When :meth:`is_over` may be different from what it was then; infinity for never."""
        ends = [self._began_at + pause for pause in (_LEAST, self._for_nobody, _LONGEST)]
        return min([end for end in ends if end > looked_at], default=math.inf)

    @property
    def _for_nobody(self) -> float:
        return _NOBODY if self.expects_somebody else _LEAST
