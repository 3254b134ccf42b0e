"""What was refused, counted, and reported once a second at most. Pure: time is passed in."""

from __future__ import annotations

import math
from enum import Enum
from typing import Final, NamedTuple

from ...message import Address

_PAUSE: Final = 1.0
"""Seconds between two reports of one kind."""


class Why(Enum):
    """Kinds of what is refused: each is reported by itself."""

    PLAIN = "not sealed"
    OTHER_KEY = "sealed with another key"
    FORGED = "changed on the way, or forged"
    REPLAYED = "sent before, or much too late"
    UNANSWERED = "of an end that does not answer: an old recording, or it left at once"
    RELAYED = "relayed, while its sender is heard directly"
    TOO_MUCH = "more than is kept while a new end proves that it is there"


class Report(NamedTuple):
    """What was refused since the last report of its kind.

    Attributes:
        why: the kind.
        detail: for people; empty for none.
        sender: of the last of them.
        number: how many.
        first: whether it is the first report of its kind.
    """

    why: Why
    detail: str
    sender: Address
    number: int
    first: bool


class Rejections:
    """Counts what is refused, and says what to report: the first of a kind at once, then once a second at most.

    Args:
        copies_are_expected: whether each datagram may come over several interfaces, so that a copy is not reported.

    Attributes:
        total: how many there were.
    """

    def __init__(self, *, copies_are_expected: bool) -> None:
        self.total = 0
        self._copies_are_expected = copies_are_expected
        self._waiting: dict[Why, Report] = {}
        self._told_at: dict[Why, float] = {}

    def add(self, why: Why, sender: Address, detail: str = "", count: int = 1) -> None:
        self.total += count
        before = self._waiting.get(why)
        count += 0 if before is None else before.number
        self._waiting[why] = Report(why, detail, sender, count, why not in self._told_at)

    def add_copy(self, sender: Address) -> None:
        """A datagram came whose number was taken before."""
        if not self._copies_are_expected:
            self.add(Why.REPLAYED, sender)

    @property
    def waits(self) -> bool:
        """Whether anything is to be reported yet."""
        return bool(self._waiting)

    def take(self, now: float) -> list[Report]:
        """What is to be reported now."""
        if not self._waiting:
            return []
        due = [why for why in self._waiting if now >= self._due(why)]
        self._told_at.update(dict.fromkeys(due, now))
        return [self._waiting.pop(why) for why in due]

    def timer(self) -> float:
        """When to :meth:`take` again; infinity for never."""
        return min(map(self._due, self._waiting), default=math.inf)

    def _due(self, why: Why) -> float:
        return self._told_at.get(why, -math.inf) + _PAUSE
