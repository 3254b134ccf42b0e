"""What came for one end and waits for its I/O thread, and what did not come."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ...message import Address, Message
from ...validation.topic_name import name_end
from .arrival_queue import ArrivalQueue
from .running_numbers import RunningNumbers


class NumberedArrivals:
    """Takes messages on any thread, under one short lock, and gives them to the end's I/O thread.

    Args:
        own: the end's own address: what it sent to the group comes from memory, and is ignored here.
        sources: the only senders that are heard in the group; all if there are none.
        capacity: bytes that may wait.
        by_topic: whether what came to the group is numbered within its topic, for the others are not sent here.

    Attributes:
        lost: messages that others sent while it heard them, and that it does not get: those that the numbers say are
            missing, and those that the queue dropped. One that comes late or twice is ignored.
    """

    def __init__(self, own: Address, sources: Sequence[str], capacity: int, *, by_topic: bool = False) -> None:
        self._by_topic = by_topic
        self._own = own
        self._sources = sources
        self._lock = threading.RLock()
        self._arrivals = ArrivalQueue(capacity)
        self._numbers = RunningNumbers()
        self.lost = 0

    def __bool__(self) -> bool:
        return bool(self._arrivals)

    @property
    def dropped(self) -> int:
        """Messages that the queue had no space for."""
        return self._arrivals.dropped

    def put(self, messages: Sequence[Message], numbers: Sequence[int | None]) -> bool:
        """Take messages, each with its running number, or None; whether any of them now waits."""
        sources, own, by_topic = self._sources, self._own, self._by_topic
        taken: list[Message] = []
        with self._lock:
            for message, number in zip(messages, numbers, strict=True):
                sender = message.sender
                if not message.direct and (sender == own or (sources and sender[0] not in sources)):
                    continue
                if number is not None:
                    stream = message.direct
                    if by_topic and not stream:
                        stream = message.data[: max(0, name_end(message.data))]
                    missing = self._numbers.missing_before(sender, stream, number)
                    if missing is None:
                        continue
                    self.lost += missing
                taken.append(message)
            if taken:
                self.lost += self._arrivals.put(taken)
        return bool(taken)

    def move_to(self, taken: list[Message]) -> None:
        """Move all that waits to the end of a list."""
        with self._lock:
            self._arrivals.move_to(taken)
