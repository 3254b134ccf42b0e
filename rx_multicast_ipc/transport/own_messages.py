"""An end's own messages, on their way back to its subscribers from memory instead of from the wire."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Final, TypeAlias

from ..message import Address, Message

_RECORD: Final = 256
"""Bytes that a payload counts beside its own."""

_Send: TypeAlias = tuple[Sequence[bytes], int, Address, str, float]
"""Payloads, what they count, sender, interface and time. No record with names, for one is made at each send."""


class OwnMessages:
    """What was sent to the group and not delivered to the sender itself yet; bounded, what is too much is counted.

    All of it is used with the sender's lock held, so that the order is the one of the sends. ``pending`` alone may be
    read without it.

    Args:
        group: where they are sent to.
        capacity: bytes of payloads, and 256 for each, that wait. What is sent together is taken as long as half of them
            are free.
        topic: the subject that they are sent by, on an engine, if it is one of others.

    Attributes:
        pending: whether something waits, for somebody who takes it.
        dropped: messages that were too many.
    """

    def __init__(self, group: Address, capacity: int, topic: str = "") -> None:
        self._group = group
        self._family = "IPv6" if ":" in group[0] else "IPv4"
        self._topic = topic
        self._capacity = capacity
        self._sends: deque[_Send] = deque()
        self._size = 0
        self._wanted = False
        self.pending = False
        self.dropped = 0

    @property
    def crowded(self) -> bool:
        """Whether there may soon be too many."""
        return 2 * self._size > self._capacity

    def start(self) -> None:
        """From now on somebody takes them."""
        self._wanted = True
        self.pending = bool(self._sends)

    def stop(self) -> None:
        """Nobody takes them any more."""
        self._wanted = False
        self.clear()

    def put(self, payloads: Sequence[bytes], size: int, sender: Address, interface: str = "") -> None:
        """Add what was sent, or is about to be, together: so many bytes."""
        size += _RECORD * len(payloads)
        if self._size + size > self._capacity and self.crowded:
            self.dropped += len(payloads)
            return
        put = (payloads, size, sender, interface, time.time())
        # No call from here on, so that Ctrl-C, or a signal handler that raises, comes before all of it or after.
        self._sends += (put,)
        self._size += size
        self.pending = self._wanted

    def put_back(self, payloads: Sequence[bytes], *, was_put: bool = True) -> None:
        """Take away what was put lately, for it was not sent after all.

        Args:
            payloads: these very ones.
            was_put: whether :meth:`put` came to its end.
        """
        sends = self._sends
        place = len(sends) - 1
        while place >= 0 and sends[place][0] is not payloads:  # a signal handler has sent since
            place -= 1
        if place >= 0:
            size = sends[place][1]
            del sends[place]  # no call from here on
            self._size -= size
            if not sends:
                self.pending = False
        elif was_put:  # and dropped
            self.dropped -= len(payloads)

    def take(self) -> list[Message]:
        """All that waits, as messages that arrived when they were sent."""
        messages: list[Message] = []
        for payloads, _, (address, port), interface, sent_at in self._sends:
            fields = (address, port, self._family, sent_at, False, interface, self._group, self._topic)
            messages += map(Message, payloads, *map(repeat, fields))
        nothing: deque[_Send] = deque()
        # No call from here on, so that who adds them to its own in the same statement loses none to Ctrl-C.
        self._sends = nothing
        self._size = 0
        self.pending = False
        return messages

    def clear(self) -> None:
        """Let go of all that waits."""
        self._sends.clear()
        self._size = 0
        self.pending = False
