"""Counts what a source delivers, and keeps the last of it for whoever looks a few times a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final

import msgspec

from ..message import Address, Message

MOST_ROWS: Final = 200
"""Items that are kept, and told by one reading."""

MOST_LOOKED_AT: Final = 4000
"""Items between two readings whose senders are counted one by one; of what is beyond, only the number is."""


class Value(msgspec.Struct, frozen=True):
    """What a pipeline delivered, if it is no message.

    Attributes:
        value: whatever it was.
        received_at: seconds since the Unix epoch.
    """

    value: Any
    received_at: float


Item = Message | Value

Sender = Address | str
"""Whom an item is counted for: a message's address and port, or the type of a plain value."""


class Reading(msgspec.Struct, frozen=True):
    """What a meter saw since the reading before. Time and total belong together.

    Attributes:
        at: seconds since the Unix epoch.
        total: items since the beginning.
        total_bytes: their payloads, in bytes; plain values have none.
        estimated: whether too many came, now or before, for the bytes of each to be counted.
        senders: items and bytes of each sender, of those that were looked at.
        looked_at: how many those were.
        came: how many came; more than ``looked_at`` when too many did to look at each.
        last: the newest items, ``MOST_ROWS`` at most; the last one is number ``total``.
    """

    at: float
    total: int
    total_bytes: int
    estimated: bool
    senders: dict[Sender, tuple[int, int]]
    looked_at: int
    came: int
    last: Sequence[Item]


class Meter:
    """Takes items on the thread that delivers them. A batch beyond ``MOST_LOOKED_AT`` costs what one item does.

    It is read by one thread at a time.

    Args:
        clock: seconds since the Unix epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = Lock()
        self._last: deque[Item] = deque(maxlen=MOST_ROWS)
        self._senders: dict[Sender, list[int]] = {}
        self._looked_at = 0
        self._total = 0
        self._total_read = 0
        self._bytes = 0
        self._estimated = False

    def add(self, item: Any) -> None:
        """Count one message or other value."""
        if not isinstance(item, Message):
            item = Value(item, self._clock())
        with self._lock:
            self._total += 1
            self._last.append(item)
            if self._looked_at < MOST_LOOKED_AT:
                self._look_at((item,))

    def add_all(self, messages: Sequence[Message]) -> None:
        """Count a batch."""
        count = len(messages)
        newest = messages if count <= MOST_ROWS else messages[-MOST_ROWS:]
        with self._lock:
            self._total += count
            self._last.extend(newest)
            if self._looked_at < MOST_LOOKED_AT:
                self._look_at(messages[: MOST_LOOKED_AT - self._looked_at])

    def _look_at(self, items: Sequence[Item]) -> None:
        self._looked_at += len(items)
        for item in items:
            if isinstance(item, Message):
                sender, size = (item.address, item.port), len(item.data)
            else:
                sender, size = type(item.value).__name__, 0
            counts = self._senders.get(sender)
            if counts is None:
                self._senders[sender] = [1, size]
            else:
                counts[0] += 1
                counts[1] += size

    @property
    def total(self) -> int:
        """Items since the beginning."""
        return self._total

    @property
    def unread(self) -> int:
        """Items since the last reading."""
        return self._total - self._total_read

    def read(self) -> Reading:
        """What came since the last call."""
        with self._lock:  # the clock too: a total of a later moment is a spike in the plot
            at, total, came = self._clock(), self._total, self.unread
            last = list(self._last)[-came:] if came else []
            senders, looked_at = self._senders, self._looked_at
            self._total_read, self._senders, self._looked_at = total, {}, 0
        looked_bytes = sum(size for _, size in senders.values())
        self._bytes += looked_bytes if came == looked_at else round(looked_bytes * came / looked_at)
        self._estimated = self._estimated or came > looked_at
        counts = {sender: (n, size) for sender, (n, size) in senders.items()}
        return Reading(at, total, self._bytes, self._estimated, counts, looked_at, came, last)

    def recent(self) -> Reading:
        """The newest items again, for a front end that begins late; the next :meth:`read` is not changed by it."""
        with self._lock:
            at, total, last = self._clock(), self._total, list(self._last)
        return Reading(at, total, self._bytes, self._estimated, {}, 0, 0, last)
