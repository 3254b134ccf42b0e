"""What the spy has heard: the latest messages, and figures of every sender."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from ...message import Address, Message
from ...strangers.bounded_map import BoundedMap
from ...validation.topic_name import split_topic
from ..output import host_port

KEPT: Final = 10_000
"""Messages that can be looked at; older ones are only counted."""

KEPT_BYTES: Final = 64 << 20
"""Bytes of payload of all that can be looked at."""

PREVIEW: Final = 400
"""Bytes of a payload that a line is made of."""

SENDERS: Final = 1_000
"""Senders that are told apart; beyond it, who has been silent longest is forgotten."""

_WINDOW: Final = 2.0
"""Seconds that a rate is the mean of."""


class Heard:
    """A message and its number, 1 for the first."""

    __slots__ = ("message", "number")

    def __init__(self, number: int, message: Message) -> None:
        self.number = number
        self.message = message

    @property
    def key(self) -> int:
        return self.number


class Meter:
    """Messages and bytes, and how many of them a second."""

    __slots__ = ("_marks", "byte_rate", "bytes", "message_rate", "messages")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.message_rate = 0.0
        self.byte_rate = 0.0
        self._marks: list[tuple[float, int, int]] = []

    def mark(self, now: float) -> None:
        """Update the rates; ``now`` is in seconds, on a clock that only goes forward."""
        marks = self._marks
        marks.append((now, self.messages, self.bytes))
        while len(marks) > 2 and marks[1][0] <= now - _WINDOW:
            del marks[0]
        then, messages, size = marks[0]
        if now > then:
            self.message_rate = (self.messages - messages) / (now - then)
            self.byte_rate = (self.bytes - size) / (now - then)


class Sender(Meter):
    """One sender.

    Attributes:
        address: of whom.
        last_at: when its latest message came, in seconds since the Unix epoch.
        last: the beginning of that message's payload.
    """

    __slots__ = ("address", "last", "last_at")

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address
        self.last_at = 0.0
        self.last = b""

    @property
    def key(self) -> Address:
        return self.address


class Kept:
    """The latest messages, bounded in number and in bytes of payload."""

    def __init__(self) -> None:
        self._heard: deque[Heard] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[Heard]:
        return iter(self._heard)

    def append(self, heard: Heard) -> None:
        """Keep one more, and let go of the oldest that are too many; the latest is always kept."""
        kept = self._heard
        kept.append(heard)
        self._bytes += len(heard.message.data)
        while len(kept) > 1 and (len(kept) > KEPT or self._bytes > KEPT_BYTES):
            self._bytes -= len(kept.popleft().message.data)

    def clear(self) -> None:
        self._heard.clear()
        self._bytes = 0

    @property
    def first_number(self) -> int:
        """Of the oldest; 0 if there is none."""
        return self._heard[0].number if self._heard else 0


class Traffic:
    """Everything heard so far. Used on one thread only.

    Attributes:
        total: of all senders together.
        senders: by address; who has been silent longest comes first.
        latest: the latest messages that pass the filter.
        has_topics: whether a message of a topic was among them.
    """

    def __init__(self) -> None:
        self._kept = Kept()
        self._search: re.Pattern[str] | None = None
        self._only: Address | None = None
        self._later: Kept | None = None
        self.clear()

    def clear(self) -> None:
        """Forget everything; the filter stays."""
        self.total = Meter()
        self.has_topics = False
        self.senders: BoundedMap[Address, Sender] = BoundedMap(SENDERS)
        self._kept.clear()
        if self._later is not None:
            self._later.clear()
        self.latest: deque[Heard] = deque()

    def add(self, batch: Iterable[Message]) -> None:
        """Count and keep the messages of one read."""
        total, senders = self.total, self.senders
        for message in batch:
            size = len(message.data)
            if not self.has_topics:
                self.has_topics = bool(split_topic(message.data)[0])
            total.messages += 1
            total.bytes += size
            sender = senders.use(message.sender, Sender)
            sender.messages += 1
            sender.bytes += size
            sender.last_at = message.received_at
            sender.last = message.data[:PREVIEW]
            heard = Heard(total.messages, message)
            if self._later is not None:
                self._later.append(heard)
                continue
            self._kept.append(heard)
            if self._passes(heard):
                self.latest.append(heard)
        oldest = self._kept.first_number
        while self.latest and self.latest[0].number < oldest:
            self.latest.popleft()

    @property
    def paused(self) -> bool:
        """Whether ``latest`` stands still, while all is counted on."""
        return self._later is not None

    def pause(self) -> None:
        """Stop updating ``latest``, so that it can be looked at and filtered."""
        self._later = Kept()

    def resume(self) -> None:
        """Go on, with what was heard meanwhile."""
        for heard in self._later or ():
            self._kept.append(heard)
        self._later = None
        self.choose(self._search, self._only)

    def mark(self, now: float) -> None:
        """Update all rates."""
        self.total.mark(now)
        for sender in self.senders.values():
            sender.mark(now)

    def choose(self, search: re.Pattern[str] | None, only: Address | None) -> None:
        """Let through what ``search`` finds in the payload or the sender's address, of one sender or of all."""
        self._search = search
        self._only = only
        self.latest = deque(heard for heard in self._kept if self._passes(heard))

    def _passes(self, heard: Heard) -> bool:
        message = heard.message
        if self._only is not None and message.sender != self._only:
            return False
        search = self._search
        return search is None or bool(search.search(message.text) or search.search(host_port(message.sender)))
