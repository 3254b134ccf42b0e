"""Messages of a stream whose acknowledgement somebody waits for, and who has them. Pure: time is passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from ...message import Address
from ...option_values.reliable import Acknowledged
from .stream_receivers import Members

_ANSWERED: Final = 0.2
"""Seconds after which somebody who is there would have answered."""


class Mark:
    """A message whose acknowledgement somebody waits for.

    Attributes:
        message: its number among those of the stream.
        number: of the packet that ends it; 0 as long as it waits to go out.
        expected: who was there when it was taken, and where.
        acknowledged: the ends of those of them who have it.
    """

    __slots__ = ("acknowledged", "expected", "message", "number")

    def __init__(self, message: int, number: int, expected: dict[int, Address]) -> None:
        self.message = message
        self.number = number
        self.expected = expected
        self.acknowledged: set[int] = set()


class Marks:
    """The marks of one stream.

    Args:
        members: its receivers.

    Attributes:
        waiting: those whose message has yet to go out.
        settled_at: from when on it is known who is there, seconds.
    """

    def __init__(self, members: Members) -> None:
        self._members = members
        self.waiting: deque[Mark] = deque()
        self.settled_at = 0.0

    def opened(self, now: float) -> None:
        """The end begins to be there: who else is has yet to answer."""
        self.settled_at = now + _ANSWERED

    def set(self, message: int, number: int) -> Mark:
        """Mark a message; ``number`` is that of the packet that ended it, 0 if it has yet to go out."""
        mark = Mark(message, number, self._members.addresses())
        if not number:
            self.waiting.append(mark)
        return mark

    def on_gone_out(self, messages: int, number: int) -> None:
        """So many messages have gone out, the last of them in this packet."""
        while self.waiting and self.waiting[0].message <= messages:
            self.waiting[0].number = number
            self.waiting.popleft()  # last: one that is nowhere would wait for ever

    def outcome(self, mark: Mark, now: float) -> Acknowledged | None:
        """Who has the message, and who went without it; None as long as somebody is waited for."""
        if now < self.settled_at:  # who is there may not have answered yet
            mark.expected |= self._members.addresses()
            return None
        if not mark.number or self._lacking(mark):
            return None
        missing = mark.expected.keys() - mark.acknowledged
        return Acknowledged(_addresses(mark, mark.acknowledged), _addresses(mark, missing))

    def lacking(self, mark: Mark) -> list[Address]:
        """Who of those that are waited for has yet to acknowledge the message."""
        return [*_addresses(mark, self._lacking(mark))]

    def _lacking(self, mark: Mark) -> set[int]:
        lacking: set[int] = set()
        for end in mark.expected.keys() - mark.acknowledged:
            member = self._members.get(end)
            if member is None:
                if mark.number and self._members.expected_when_it_left(end) > mark.number:
                    mark.acknowledged.add(end)
                continue
            if member.behind:
                continue  # not waited for
            if mark.number and member.confirmed and member.number > mark.number:
                mark.acknowledged.add(end)
            else:
                lacking.add(end)
        return lacking


def _addresses(mark: Mark, ends: Iterable[int]) -> tuple[Address, ...]:
    return tuple(sorted(mark.expected[end] for end in ends))
