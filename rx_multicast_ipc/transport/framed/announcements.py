"""Who is there: what an end says of itself, and what others said. Pure: time is passed in."""

from __future__ import annotations

import math
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final

from ...message import Address
from ...strangers.rate_limit import RateLimit
from .packet_codec import pack
from .packets import Datagram, Status
from .stream_receivers import MOST_MEMBERS

_HELLOS: Final = (0.0, 0.02, 0.06, 0.15, 0.4, 1.0)
"""Seconds after which an end says that it is there: six times, for any may be lost."""

_REPLY_SPREAD: Final = 0.002
"""Seconds for each that is there, within which all answer a newcomer."""

_ANSWERS: Final = 400
"""Answers a second for long; at once, one for each that may be there. Whose address a hello gives, nobody knows."""


class Announcements:
    """What is announced by one end, and who else announced itself.

    Args:
        random: for waits, and for what tells the end from others.

    Attributes:
        end: tells it from others, whatever address it speaks from.
        at: when the next announcement is due; infinity for never.
    """

    def __init__(self, random: Random) -> None:
        self.end = random.getrandbits(32) or 1
        self.at = math.inf
        self._random = random
        self._peers: dict[int, Address] = {}
        self._waiting: list[tuple[float, int, Datagram]] = []  # a heap; no bytes stand for what it says when it is due
        self._numbers = count()
        self._now = 0.0
        self._answers = RateLimit(_ANSWERS, MOST_MEMBERS, lambda: self._now)

    @property
    def peers(self) -> frozenset[Address]:
        """Who else was heard to be there."""
        return frozenset(self._peers.values())

    def say_hello(self, now: float) -> None:
        """Say that this end is there, so that senders wait for it."""
        for pause in _HELLOS:
            self._put(now + pause, (b"", None))

    def say_goodbye(self, now: float) -> None:
        """Say that it leaves, and nothing else any more."""
        self._waiting.clear()
        for _ in range(2):
            self._put(now, (pack(Status(0, leave=True, end=self.end)), None))

    def on_leave(self, end: int) -> None:
        self._peers.pop(end, None)

    def on_hello(self, end: int, source: Address, direct: bool, knows_somebody: bool, now: float) -> None:
        """Somebody is there; who did not know of it answers, and who is not known to it, for an answer may be lost.

        Args:
            end: who.
            source: where it was heard.
            direct: whether it said so to this end alone, as an answer.
            knows_somebody: whether it has heard of anybody.
            now: seconds.
        """
        is_new = end not in self._peers
        if is_new and len(self._peers) >= MOST_MEMBERS:
            return
        self._now = now
        if not direct and (is_new or not knows_somebody) and self._answers.allows():
            wait = self._random.random() * _REPLY_SPREAD * (len(self._peers) + is_new)
            self._put(now + wait, (b"", source))
        self._peers[end] = source  # last: one that is known is not answered again

    def take(self, now: float) -> list[Datagram]:
        """What is to be said now."""
        ready: list[Datagram] = []
        while self._waiting and self._waiting[0][0] <= now:
            packet, destination = heappop(self._waiting)[2]
            ready.append((packet or self._hello, destination))
        self.at = self._waiting[0][0] if self._waiting else math.inf
        return ready

    @property
    def _hello(self) -> bytes:
        return pack(Status(0, highest=len(self._peers), hello=True, end=self.end))

    def _put(self, at: float, datagram: Datagram) -> None:
        heappush(self._waiting, (at, next(self._numbers), datagram))
        self.at = self._waiting[0][0]
