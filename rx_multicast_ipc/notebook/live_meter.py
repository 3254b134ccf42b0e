"""Counts what a source delivers, and keeps the last of it for whoever looks a few times a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final

import msgspec

from ..message import Message, Received
from ..topics.topic_message import TopicMessage
from .plotted_values import PlottedValues, Values
from .sender_name import Sender

MOST_ROWS: Final = 200
"""Items that are kept, and told by one reading."""

MOST_LOOKED_AT: Final = 4000
"""Items between two readings whose senders are counted one by one; of what is beyond, only the number is."""

ROWS_IN_A_FLOOD: Final = 32
"""Of items beyond that, those that are kept: of few, memory is used again while the processor has it in its cache."""


class Value(msgspec.Struct, frozen=True):
    """What a pipeline delivered, if it is no message.

    Attributes:
        value: whatever it was.
        received_at: seconds since the Unix epoch.
    """

    value: Any
    received_at: float


Item = Message | Value


_CARRIERS = (Received, TopicMessage)


def message_of(value: Any) -> Message | None:
    """The message that a value came in, where it tells."""
    return value.message if isinstance(value, _CARRIERS) else None


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
        last: the newest items, ``MOST_ROWS`` at most, and fewer when too many came; the last one is number ``total``.
        values: what is to be plotted.
    """

    at: float
    total: int
    total_bytes: int
    estimated: bool
    senders: dict[Sender, tuple[int, int]]
    looked_at: int
    came: int
    last: Sequence[Item]
    values: Values = Values([])


class Meter:
    """Takes items on the thread that delivers them. A batch beyond ``MOST_LOOKED_AT`` costs what one item does.

    It is read by one thread at a time. Items that come one by one wait in a list until somebody reads or there are
    ``_CHUNK``: taking one in must cost little more than the call, and what is beyond little more than being counted.

    Args:
        clock: seconds since the Unix epoch.
        values: takes what is to be plotted.
    """

    _CHUNK = 2 * ROWS_IN_A_FLOOD

    def __init__(self, clock: Callable[[], float] = time.time, values: PlottedValues | None = None) -> None:
        self._clock = clock
        self._lock = Lock()
        self._values = PlottedValues() if values is None else values
        self._waiting: list[Any] = []
        self._last: deque[Item] = deque(maxlen=MOST_ROWS)
        self._senders: dict[Sender, list[int]] = {}
        self._looked_at = 0
        self._taken = 0
        self._total_read = 0
        self._bytes = 0
        self._estimated = False
        self.add: Callable[[Any], None] = self._make_add()
        """Count one message or other value."""

    def add_all(self, items: Sequence[Any]) -> None:
        """Count a batch: of messages, or of other values."""
        at = self._clock()
        if items and not isinstance(items[0], Message):
            items = [Value(item, at) for item in items]
        with self._lock:
            self._take(items, at)

    def _make_add(self) -> Callable[[Any], None]:
        # A closure finds what it needs faster than a method. The list stays the same one, so that no item is lost to a
        # list that was just taken away; only its beginning is.
        waiting, clock, chunk, take = self._waiting, self._clock, self._CHUNK, self._take_waiting
        append, message_type = waiting.append, Message

        def add(item: Any) -> None:
            append(item if isinstance(item, message_type) else Value(item, clock()))
            if len(waiting) >= chunk:
                take()

        return add

    def _take_waiting(self) -> None:
        with self._lock:
            if self._looked_at < MOST_LOOKED_AT:
                self._take_in_lock()
            else:  # count them, and leave the newest where they are
                count = len(self._waiting) - ROWS_IN_A_FLOOD
                del self._waiting[:count]
                self._taken += count
                self._last.clear()

    def _take_in_lock(self) -> None:
        waiting = self._waiting[:]
        del self._waiting[: len(waiting)]
        self._take(waiting, self._clock())

    def _take(self, items: Sequence[Item], at: float) -> None:
        self._taken += len(items)
        self._last.extend(items if len(items) <= MOST_ROWS else items[-MOST_ROWS:])
        if items and self._looked_at < MOST_LOOKED_AT:
            self._look_at(items[: MOST_LOOKED_AT - self._looked_at], at)
            if self._looked_at == MOST_LOOKED_AT:
                self._last = deque(self._last, ROWS_IN_A_FLOOD)

    def _look_at(self, items: Sequence[Item], at: float) -> None:
        self._looked_at += len(items)
        plots_messages, plot = self._values.takes_messages, self._values.add
        for item in items:
            if isinstance(item, Message):
                sender, size = (item.address, item.port), len(item.data)
                if plots_messages:
                    plot(item, at)
            else:
                message = message_of(item.value)
                sender, size = (
                    (type(item.value).__name__, 0) if message is None else (message.sender, len(message.data))
                )
                plot(item.value, item.received_at)
            counts = self._senders.get(sender)
            if counts is None:
                self._senders[sender] = [1, size]
            else:
                counts[0] += 1
                counts[1] += size

    @property
    def total(self) -> int:
        """Items since the beginning."""
        return self._taken + len(self._waiting)

    @property
    def unread(self) -> int:
        """Items since the last reading."""
        return self.total - self._total_read

    def read(self) -> Reading:
        """What came since the last call."""
        with self._lock:  # the clock too: a total of a later moment is a spike in the plot
            self._take_in_lock()
            at, total = self._clock(), self._taken
            came = total - self._total_read
            last = list(self._last)[-came:] if came else []
            senders, looked_at = self._senders, self._looked_at
            self._total_read, self._senders, self._looked_at = total, {}, 0
            self._last = deque(self._last, MOST_ROWS)
            values = self._values.read()
        looked_bytes = sum(size for _, size in senders.values())
        self._bytes += looked_bytes if came == looked_at else round(looked_bytes * came / looked_at)
        self._estimated = self._estimated or came > looked_at
        counts = {sender: (n, size) for sender, (n, size) in senders.items()}
        return Reading(at, total, self._bytes, self._estimated, counts, looked_at, came, last, values)

    def recent(self) -> Reading:
        """The newest items again, for a front end that begins late; the next :meth:`read` is not changed by it."""
        with self._lock:
            self._take_in_lock()
            at, total, last = self._clock(), self._taken, list(self._last)
            values = self._values.read(all_kept=True)
        return Reading(at, total, self._bytes, self._estimated, {}, 0, 0, last, values)
