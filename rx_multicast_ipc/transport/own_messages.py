"""An end's own messages, on their way back to its subscribers from memory instead of from the wire."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Final, NamedTuple

from ..message import Address, Message

_RECORD: Final = 256
"""Bytes that a payload counts beside its own."""


class OwnMessages:
    """What was sent to the group and not delivered to the sender itself yet; bounded, what is too much is counted.

    All of it is used with the sender's lock held, so that the order is the one of the sends. ``pending`` alone may be
    asked for without it.

    Args:
        capacity: bytes of payloads, and 256 for each, that wait.

    Attributes:
        wanted: whether somebody takes them, as from the start of the end on.
        dropped: messages that were too many.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._sends: deque[_Send] = deque()
        self._size = 0
        self.wanted = False
        self.dropped = 0

    @property
    def pending(self) -> bool:
        """Whether something waits, for somebody who takes it."""
        return self.wanted and bool(self._sends)

    def put(self, payloads: Sequence[bytes], sender: Address, interface: str = "") -> None:
        """Add what was sent, or is about to be, together."""
        size = sum(map(len, payloads)) + _RECORD * len(payloads)
        if self._size + size > self._capacity and self._sends:
            self.dropped += len(payloads)
            return
        self._size += size
        self._sends.append(_Send(payloads, size, sender, interface, time.time()))

    def put_back(self, payloads: Sequence[bytes]) -> None:
        """Take away what was put last, if it is this, for it was not sent after all."""
        if self._sends and self._sends[-1].payloads is payloads:
            self._size -= self._sends.pop().size
        else:
            self.dropped -= len(payloads)

    def take(self) -> list[Message]:
        """All that waits, as messages that arrived when they were sent."""
        messages: list[Message] = []
        for send in self._sends:
            address, port = send.sender
            family = "IPv6" if ":" in address else "IPv4"
            fields = (address, port, family, send.sent_at, False, send.interface)
            messages += map(Message, send.payloads, *map(repeat, fields))
        self.clear()
        return messages

    def clear(self) -> None:
        """Let go of all that waits."""
        self._sends.clear()
        self._size = 0


class _Send(NamedTuple):
    payloads: Sequence[bytes]
    size: int
    sender: Address
    interface: str
    sent_at: float
