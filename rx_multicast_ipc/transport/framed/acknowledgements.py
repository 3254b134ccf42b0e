"""Who has the messages to the group whose acknowledgement somebody waits for. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ...message import Address
from ...option_values.reliable import Acknowledged
from .acknowledgement_marks import Mark
from .outgoing import Outgoing

_ANSWERED: Final = 0.2
"""Seconds after which somebody who is there would have answered."""


class Acknowledgements:
    """Who has which message.

    Args:
        stream: to the group.
        opened_at: since when its end is there, seconds.

    Attributes:
        settled_at: from when on it knows who is there: they had time to answer.
    """

    def __init__(self, stream: Outgoing, opened_at: float) -> None:
        self.settled_at = opened_at + _ANSWERED
        self._stream = stream

    def mark(self) -> Mark:
        """Watch who acknowledges the message that was taken last."""
        return self._stream.mark()

    def of(self, mark: Mark, now: float) -> Acknowledged | None:
        """Who has the message, and who went without it; None as long as somebody is waited for."""
        if now < self.settled_at:  # who is there may not have answered yet
            mark.expected |= self._stream.members.addresses()
            return None
        if not mark.number or self._stream.marks.lacking(mark):
            return None
        missing = mark.expected.keys() - mark.acknowledged
        return Acknowledged(_addresses(mark, mark.acknowledged), _addresses(mark, missing))

    def lacking(self, mark: Mark) -> list[Address]:
        """Who has yet to acknowledge the message."""
        return [*_addresses(mark, self._stream.marks.lacking(mark))]


def _addresses(mark: Mark, ends: Iterable[int]) -> tuple[Address, ...]:
    return tuple(sorted(mark.expected[end] for end in ends))
