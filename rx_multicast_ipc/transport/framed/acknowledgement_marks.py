"""Messages of a stream whose acknowledgement somebody waits for."""

from __future__ import annotations

from collections import deque

from ...message import Address
from .stream_receivers import Members


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
    """

    def __init__(self, members: Members) -> None:
        self._members = members
        self.waiting: deque[Mark] = deque()

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

    def lacking(self, mark: Mark) -> set[int]:
        """Who of those that are waited for has yet to acknowledge it."""
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
