"""What the consumers of a stream send, one consumer after the other: whole, in order, and bounded."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from ....message import Message
from ....strangers.decoding import whole_or_none
from . import wire
from .wire import Delivered

_RECORD: Final = 256
"""Bytes that a message counts beside its payload."""

_MOST_WAITING: Final = 128 << 20
"""Bytes that wait to be delivered: four times what a server sends before it waits for flow control."""

_FLOW_CONTROL: Final = b"$JS.FC."
"""What the subjects begin with on which a server takes answers to its flow control (``jsFlowControlPre`` there)."""

_MOST_CONTROLS: Final = 1024
"""Answers to flow control that wait for their turn; a server asks for one at a time."""


class Kept(NamedTuple):
    """A message that a stream kept, and how many come behind it."""

    message: Message
    pending: int


class Taken(Enum):
    """What became of something that a consumer sent."""

    NOTHING = 0
    WAITS = 1
    """It waits to be taken out."""
    MISSING = 2
    """Something is missing before it, or it has no space: the consumer counts no more, and another one is to begin."""


class StreamArrivals:
    """Messages, and between them the answers to flow control, which come to their turn once those before are delivered.

    How this works. A server numbers what it sends to a consumer, so a gap shows. It asks "flow control" questions in
    between (status 100 with a reply subject), and sends little more before they are answered; one that waits for an
    answer repeats its subject in each heartbeat (``Nats-Consumer-Stalled``):
    ADR-15 of nats-architecture-and-design; https://docs.nats.io/nats-concepts/jetstream/consumers.

    Args:
        message: the message of what arrived, and when the stream stored it.

    Attributes:
        last: the number in the stream of the last message that arrived; 0 before.
        heard_at: when the consumer sent anything, by the monotonic clock.
    """

    def __init__(self, message: Callable[[Delivered, float], Message]) -> None:
        self._message = message
        self._lock = threading.RLock()
        self._waiting: deque[Kept | bytes] = deque()
        self._bytes = self._controls = 0
        self._consumer = 0
        self._counts = False
        self._next_of_consumer = 1
        self.last = 0
        self.heard_at = 0.0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    @property
    def messages(self) -> int:
        """How many messages wait."""
        with self._lock:
            return len(self._waiting) - self._controls

    def begin(self) -> int:
        """A new consumer counts from now on, and none before it. Returns what its arrivals are to be given with."""
        with self._lock:
            self._consumer += 1
            self._counts = True
            self._next_of_consumer = 1
            self.heard_at = time.monotonic()
            return self._consumer

    def take(self, consumer: int, arrived: Delivered) -> Taken:
        """Take what came for a consumer. Anybody may have sent it."""
        with self._lock:
            if consumer != self._consumer or not self._counts:
                return Taken.NOTHING
            self.heard_at = time.monotonic()
            if wire.status(arrived.headers) == 100:
                return self._take_control(arrived)
            place = wire.place_in_stream(arrived.reply)
            if place is None:
                return Taken.NOTHING
            size = len(arrived.payload) + _RECORD
            has_space = not self._waiting or self._bytes + size <= _MOST_WAITING
            if place.of_consumer != self._next_of_consumer or not has_space:
                return self._miss()
            self._bytes += size
            self._next_of_consumer += 1
            self.last = place.of_stream
            self._waiting.append(Kept(self._message(arrived, place.at), place.pending))
            return Taken.WAITS

    def _take_control(self, arrived: Delivered) -> Taken:
        if arrived.reply:
            return self._take_question(arrived.reply)
        last = whole_or_none(wire.header(arrived.headers, b"Nats-Last-Consumer"))
        if last is not None and last >= self._next_of_consumer:
            return self._miss()
        return self._take_question(wire.header(arrived.headers, b"Nats-Consumer-Stalled"))

    def _take_question(self, reply: bytes) -> Taken:
        """Have it answered in its turn, if it is the server's: nobody else is to say where we send to."""
        is_subject = reply.startswith(_FLOW_CONTROL) and len(reply.split()) == 1
        if not is_subject or self._controls >= _MOST_CONTROLS:
            return Taken.NOTHING
        self._controls += 1
        self._waiting.append(reply)
        return Taken.WAITS

    def _miss(self) -> Taken:
        self._counts = False
        return Taken.MISSING

    def take_out(self, most: int) -> list[Kept]:
        """The oldest messages, so many at most; none where a question is before them, or nothing waits."""
        some: list[Kept] = []
        with self._lock:
            while self._waiting and len(some) < most:
                oldest = self._waiting[0]
                if isinstance(oldest, bytes):
                    break
                some.append(oldest)
                self._waiting.popleft()
            self._bytes -= sum([len(each.message.data) + _RECORD for each in some])
        return some

    def take_out_question(self) -> bytes:
        """The subject that is to be answered now; empty where a message is before it, or nothing waits."""
        with self._lock:
            if self._waiting and isinstance(oldest := self._waiting[0], bytes):
                self._waiting.popleft()
                self._controls -= 1
                return oldest
        return b""

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._waiting.clear()
            self._bytes = self._controls = 0
