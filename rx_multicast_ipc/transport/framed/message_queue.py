"""Messages on their way into packets: several small ones together, a large one in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .bundles_and_fragments import LENGTH_SIZE, MOST_IN_BUNDLE, first_fragment, whole_body
from .packets import BEGIN, END, EQUAL

_CAPACITY: Final = 256 * 1024
"""Bytes that may wait before a sender has to: enough to fill the packets that go next."""

_LENGTH_COST: Final = 2
"""Bytes that a message in a bundle takes beside its own."""

_STALE: Final = 4096
"""Messages that have gone out and are kept until they are thrown away together."""

Body = tuple[int, int, bytes]
"""Flags, count and bytes of a DATA packet."""

After = tuple[int, int, int, int]
"""What ``at``, ``waiting``, ``size`` and ``part_at`` of a queue are once a body has gone out."""


class MessageQueue:
    """What is to be sent and has not gone out.

    Args:
        body_size: bytes of the largest body.

    Attributes:
        taken: messages that came in so far. One that finds the queue empty may go out without.
        waiting: messages that wait, the first one maybe in part.
        at, size, part_at: which is the first of them, how many bytes they are, and how many of the first one have gone
            out. Who sends a body sets all of these, in one statement, when it has gone out: see :data:`After`.
    """

    def __init__(self, body_size: int) -> None:
        self.taken: int = 0
        self.waiting: int = 0
        self._body_size = body_size
        self._messages: list[bytes] = []
        self.at = 0  # the first that waits: a list, as slices of it cost less than to pop each
        self.size = 0
        self.part_at = 0
        self._each = 0  # bytes of each that waits, if they are all alike: then they need not be looked at one by one

    @property
    def gone_out(self) -> int:
        """Messages that went out whole so far."""
        return self.taken - self.waiting

    @property
    def has_room(self) -> bool:
        """Whether it takes another message."""
        return self.size < _CAPACITY

    def put(self, messages: Sequence[bytes], *, all_of_them: bool = False) -> int:
        """Take messages as long as there is room, or in any case ``all_of_them``; returns how many."""
        sizes = [*map(len, messages)]
        size = self.size + sum(sizes) + _LENGTH_COST * len(messages)
        if not all_of_them and size - sizes[-1] >= _CAPACITY:
            size, count = self.size, 0
            for one in sizes:
                if size >= _CAPACITY:
                    break
                size += one + _LENGTH_COST
                count += 1
            messages, sizes = messages[:count], sizes[:count]
        if messages:
            are_alike = sizes.count(sizes[0]) == len(sizes) and (not self.waiting or self._each == sizes[0])
            self._each = sizes[0] if are_alike else 0
        count = len(messages)
        if not self.waiting:
            self._messages, self.at = [], 0
        # No call from here on, so that Ctrl-C, or a signal handler that raises, comes before all of it or after.
        self._messages += messages
        self.size = size
        self.taken += count
        self.waiting += count
        return count

    def next_body(self) -> tuple[Body, After]:
        """The body of the next packet, and what the queue is like once it has gone out; not to be called when empty.

        Nothing has changed before that, so that one who was interrupted gets the same body again.
        """
        message = self._messages[self.at]
        return self._next_part(message) if len(message) > self._body_size else self._next_bundle()

    def tidy(self) -> None:
        """Throw away what has gone out."""
        if not self.waiting:
            self._messages, self.at = [], 0
        elif self.at > _STALE:
            kept = self._messages[self.at :]
            self._messages, self.at = kept, 0

    def _next_bundle(self) -> tuple[Body, After]:
        at, waiting, size, each = self.at, self.waiting, self._body_size, self._each
        most = min(size // each if each else 1, waiting, MOST_IN_BUNDLE)
        if most > 1:
            body = EQUAL, most, b"".join(self._messages[at : at + most])
            return body, self._after(most, (each + _LENGTH_COST) * most)
        used, count = 0, 0
        for number in range(at, min(at + waiting, at + MOST_IN_BUNDLE)):
            cost = len(self._messages[number]) + _LENGTH_COST
            if count and used + cost > size:
                break
            used += cost
            count += 1
        return whole_body(self._messages[at : at + count]), self._after(count, used)

    def _next_part(self, message: bytes) -> tuple[Body, After]:
        at = self.part_at
        if not at:
            end = self._body_size - LENGTH_SIZE
            return (BEGIN, 0, first_fragment(len(message), message[:end])), self._after(0, end, end)
        part = message[at : at + self._body_size]
        end = at + len(part)
        if end < len(message):
            return (0, 0, part), self._after(0, len(part), end)
        return (END, 0, part), self._after(1, len(part) + _LENGTH_COST)

    def _after(self, messages: int, size: int, part_at: int = 0) -> After:
        waiting = self.waiting - messages
        return self.at + messages, waiting, self.size - size if waiting else 0, part_at
