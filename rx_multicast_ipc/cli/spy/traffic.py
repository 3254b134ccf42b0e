"""What the spy has heard: the latest messages, and figures of every sender."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Final

from ...message import Address, Message
from ..output import host_port

KEPT: Final = 10_000
"""Messages that can be looked at; older ones are only counted."""

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

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.message_rate = 0.0
        self.byte_rate = 0.0
        self._marks: deque[tuple[float, int, int]] = deque()

    def mark(self, now: float) -> None:
        """Update the rates; ``now`` is in seconds, on a clock that only goes forward."""
        marks = self._marks
        marks.append((now, self.messages, self.bytes))
        while len(marks) > 2 and marks[1][0] <= now - _WINDOW:
            marks.popleft()
        then, messages, size = marks[0]
        if now > then:
            self.message_rate = (self.messages - messages) / (now - then)
            self.byte_rate = (self.bytes - size) / (now - then)


class Sender(Meter):
    """One sender.

    Attributes:
        address: of whom.
        last: its latest message.
    """

    def __init__(self, address: Address, last: Message) -> None:
        super().__init__()
        self.address = address
        self.last = last

    @property
    def key(self) -> Address:
        return self.address


class Traffic:
    """Everything heard so far. Used on one thread only.

    Attributes:
        total: of all senders together.
        senders: by address.
        latest: the latest messages that pass the filter.
    """

    def __init__(self) -> None:
        self._kept: deque[Heard] = deque(maxlen=KEPT)
        self._search: re.Pattern[str] | None = None
        self._only: Address | None = None
        self._later: deque[Heard] | None = None
        self.clear()

    def clear(self) -> None:
        """Forget everything; the filter stays."""
        self.total = Meter()
        self.senders: dict[Address, Sender] = {}
        self._kept.clear()
        if self._later is not None:
            self._later.clear()
        self.latest: deque[Heard] = deque(maxlen=KEPT)

    def add(self, batch: Iterable[Message]) -> None:
        """Take what one read brought."""
        total, senders = self.total, self.senders
        for message in batch:
            size = len(message.data)
            total.messages += 1
            total.bytes += size
            sender = senders.get(message.sender)
            if sender is None:
                sender = self._meet(message)
            sender.messages += 1
            sender.bytes += size
            sender.last = message
            heard = Heard(total.messages, message)
            if self._later is not None:
                self._later.append(heard)
                continue
            self._kept.append(heard)
            if self._passes(heard):
                self.latest.append(heard)
        oldest = self._kept[0].number if self._kept else 0
        while self.latest and self.latest[0].number < oldest:
            self.latest.popleft()

    @property
    def paused(self) -> bool:
        """Whether ``latest`` stands still, while all is counted on."""
        return self._later is not None

    def pause(self) -> None:
        """Hold what is there still, to be looked at and filtered."""
        self._later = deque(maxlen=KEPT)

    def resume(self) -> None:
        """Go on, with what was heard meanwhile."""
        self._kept.extend(self._later or ())
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
        self.latest = deque((heard for heard in self._kept if self._passes(heard)), maxlen=KEPT)

    def _passes(self, heard: Heard) -> bool:
        message = heard.message
        if self._only is not None and message.sender != self._only:
            return False
        search = self._search
        return search is None or bool(search.search(message.text) or search.search(host_port(message.sender)))

    def _meet(self, message: Message) -> Sender:
        if len(self.senders) >= SENDERS:
            silent = min(self.senders.values(), key=lambda sender: sender.last.received_at)
            del self.senders[silent.address]
        sender = self.senders[message.sender] = Sender(message.sender, message)
        return sender
