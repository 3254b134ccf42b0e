"""Messages on their way into packets: several small ones together, a large one in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .message_bodies import LENGTH_SIZE, MOST_IN_BUNDLE, first_fragment, whole_body
from .packets import BEGIN, END, EQUAL

_CAPACITY: Final = 256 * 1024
"""Bytes that may wait before a sender has to: enough to fill the packets that go next."""

_LENGTH_COST: Final = 2
"""Bytes that a message in a bundle takes beside its own."""

_STALE: Final = 4096
"""Messages that have gone out and are kept until they are thrown away together."""

Body = tuple[int, int, bytes]
"""Flags, count and bytes of a DATA packet."""


class MessageQueue:
    """What is to be sent and has not gone out.

    Args:
        body_size: bytes of the largest body.

    Attributes:
        taken: messages that came in so far.
        waiting: messages that wait, the first one maybe in part.
    """

    def __init__(self, body_size: int) -> None:
        self.taken: int = 0
        self.waiting: int = 0
        self._body_size = body_size
        self._messages: list[bytes] = []
        self._at = 0  # the first that waits: a list, as slices of it cost less than to pop each
        self._size = 0
        self._part_at = 0
        self._each = 0  # bytes of each that waits, if they are all alike: then they need not be looked at one by one

    @property
    def gone_out(self) -> int:
        """Messages that went out whole so far."""
        return self.taken - self.waiting

    @property
    def has_room(self) -> bool:
        """Whether it takes another message."""
        return self._size < _CAPACITY

    def put(self, messages: Sequence[bytes], *, all_of_them: bool = False) -> int:
        """Take messages as long as there is room, or in any case ``all_of_them``; returns how many."""
        sizes = [*map(len, messages)]
        size = self._size + sum(sizes) + _LENGTH_COST * len(messages)
        if not all_of_them and size - sizes[-1] >= _CAPACITY:
            size, count = self._size, 0
            for one in sizes:
                if size >= _CAPACITY:
                    break
                size += one + _LENGTH_COST
                count += 1
            messages, sizes = messages[:count], sizes[:count]
        if messages:
            are_alike = sizes.count(sizes[0]) == len(sizes) and (not self.waiting or self._each == sizes[0])
            self._each = sizes[0] if are_alike else 0
        self._messages += messages
        self._size = size
        self.taken += len(messages)
        self.waiting += len(messages)
        return len(messages)

    def next_body(self) -> Body:
        """The body of the next packet; not to be called when empty."""
        message = self._messages[self._at]
        body = self._next_part(message) if len(message) > self._body_size else self._next_bundle()
        if not self.waiting:
            self._size = 0
        return body

    def _take(self, count: int) -> list[bytes]:
        """The next so many messages, which go out whole now."""
        at = self._at
        some = self._messages[at : at + count]
        self._at = at = at + count
        self.waiting -= count
        if not self.waiting:
            self._messages.clear()
            self._at = 0
        elif at > _STALE:
            del self._messages[:at]
            self._at = 0
        return some

    def _next_bundle(self) -> Body:
        size, each = self._body_size, self._each
        most = min(size // each if each else 1, self.waiting, MOST_IN_BUNDLE)
        if most > 1:
            self._size -= (each + _LENGTH_COST) * most
            return EQUAL, most, b"".join(self._take(most))
        used, count = 0, 0
        for number in range(self._at, min(self._at + self.waiting, self._at + MOST_IN_BUNDLE)):
            cost = len(self._messages[number]) + _LENGTH_COST
            if count and used + cost > size:
                break
            used += cost
            count += 1
        self._size -= used
        return whole_body(self._take(count))

    def _next_part(self, message: bytes) -> Body:
        at = self._part_at
        if not at:
            self._part_at = self._body_size - LENGTH_SIZE
            self._size -= self._part_at
            return BEGIN, 0, first_fragment(len(message), message[: self._part_at])
        part = message[at : at + self._body_size]
        self._part_at += len(part)
        self._size -= len(part)
        if self._part_at < len(message):
            return 0, 0, part
        self._part_at = 0
        self._size -= _LENGTH_COST
        self._take(1)
        return END, 0, part
