"""What waits for a channel's I/O thread: bounded in messages and in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...message import Message

_RECORD: Final = 256
"""Bytes that a message counts beside its payload."""

MOST_MESSAGES: Final = 262_144


class ArrivalQueue:
    """First in, first out; who uses it holds a lock. One message is held whatever its size.

    Args:
        capacity: bytes of payloads, and 256 for each, that may wait.

    Attributes:
        dropped: messages that were too many.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: list[Message] = []
        self._size = 0
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, messages: Sequence[Message]) -> int:
        """Add what there is room for, and return how many there was none for."""
        size = self._size + sum([len(message.data) for message in messages]) + _RECORD * len(messages)
        if size <= self._capacity and len(self._waiting) + len(messages) <= MOST_MESSAGES:
            self._waiting += messages
            self._size = size
            return 0
        gone = 0
        for message in messages:
            cost = len(message.data) + _RECORD
            full = self._size + cost > self._capacity or len(self._waiting) >= MOST_MESSAGES
            if full and self._waiting:
                gone += 1
            else:
                self._waiting.append(message)
                self._size += cost
        self.dropped += gone
        return gone

    def move_to(self, taken: list[Message]) -> None:
        """Move all that waits to the end of a list."""
        # No call, so that Ctrl-C comes before all of it or after.
        taken += self._waiting
        self._waiting = []
        self._size = 0
