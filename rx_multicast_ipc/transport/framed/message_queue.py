"""Messages on their way into packets: several small ones together, a large one in parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from .message_bodies import LENGTH_SIZE, MOST_IN_BUNDLE, first_fragment, whole_body
from .packets import BEGIN, END, EQUAL

_CAPACITY: Final = 256 * 1024
"""Bytes that may wait before a sender has to: enough to fill the packets that go next."""

_LENGTH_COST: Final = 2
"""Bytes that a message in a bundle takes beside its own."""

Body = tuple[int, int, bytes]
"""Flags, count and bytes of a DATA packet."""


class MessageQueue:
    """What is to be sent and has not gone out.

    Args:
        body_size: bytes of the largest body.

    Attributes:
        taken: messages that came in so far.
        gone_out: messages that went out whole so far.
        messages: that wait, the first one maybe in part.
    """

    def __init__(self, body_size: int) -> None:
        self.taken = self.gone_out = 0
        self._body_size = body_size
        self.messages: deque[bytes] = deque()
        self._size = 0
        self._part_at = 0
        self._are_equal = True  # as those before them: then they need not be looked at one by one

    def __bool__(self) -> bool:
        return bool(self.messages)

    @property
    def has_room(self) -> bool:
        """Whether it takes another message."""
        return self._size < _CAPACITY

    def put(self, messages: Sequence[bytes], *, all_of_them: bool = False) -> int:
        """Take messages as long as there is room, or in any case ``all_of_them``; returns how many."""
        size = self._size + sum(map(len, messages)) + _LENGTH_COST * len(messages)
        if not all_of_them and size - len(messages[-1]) >= _CAPACITY:
            size, count = self._size, 0
            for message in messages:
                if size >= _CAPACITY:
                    break
                size += len(message) + _LENGTH_COST
                count += 1
            messages = messages[:count]
        self.messages += messages
        self._size = size
        self.taken += len(messages)
        return len(messages)

    def next_body(self) -> Body:
        """The body of the next packet; not to be called when empty."""
        message = self.messages[0]
        body = self._next_part(message) if len(message) > self._body_size else self._next_bundle()
        if not self.messages:
            self._size = 0
        return body

    def _next_bundle(self) -> Body:
        messages, size = self.messages, self._body_size
        first = len(messages[0])
        most = min(size // first if first else 1, len(messages), MOST_IN_BUNDLE)
        if self._are_equal and most > 1:
            some = [messages.popleft() for _ in range(most)]
            if set(map(len, some)) == {first}:
                self._size -= (first + _LENGTH_COST) * most
                self.gone_out += most
                return EQUAL, most, b"".join(some)
            messages.extendleft(reversed(some))
        some = [messages.popleft()]
        used = first + _LENGTH_COST
        while messages and len(some) < MOST_IN_BUNDLE:
            cost = len(messages[0]) + _LENGTH_COST
            if used + cost > size:
                break
            used += cost
            some.append(messages.popleft())
        self._size -= used
        self.gone_out += len(some)
        body = whole_body(some)
        self._are_equal = body[0] == EQUAL or len(some) == 1
        return body

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
        self.gone_out += 1
        self.messages.popleft()
        return END, 0, part
