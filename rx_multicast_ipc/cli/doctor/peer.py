"""Another machine's end of a group, as the doctor knows it: what was heard of it, and when each direction worked."""

from __future__ import annotations

from typing import Final

from ...message import Address
from ...strangers.bounded_map import BoundedMap
from .peer_report import Report, encode_report

_REMEMBERED: Final = 10_000
"""Numbers of one peer that are kept to tell a duplicate from a new one."""


class Numbers:
    """Which numbers came, each counted once.

    Attributes:
        first, last: the lowest and the highest; 0 if none came.
        count: how many.
    """

    def __init__(self) -> None:
        self.first = self.last = self.count = 0
        self._latest: BoundedMap[int, None] = BoundedMap(_REMEMBERED)

    def add(self, number: int) -> None:
        if number not in self._latest:
            self.first = min(self.first or number, number)
            self.last = max(self.last, number)
            self.count = min(self.count + 1, self.span)
        self._latest.use(number, lambda _: None)

    @property
    def span(self) -> int:
        """How many there are from the first to the last."""
        return self.last - self.first + 1 if self.last else 0


class Way:
    """One direction between this machine and a peer.

    Attributes:
        last_sign: when it was last seen to work, in seconds since the exchange began; None if it never was.
        silent_since: the last sign before the silence that lasts.
        noticed_at: when that was noticed.
        told: whether it was told.
    """

    def __init__(self) -> None:
        self.last_sign: float | None = None
        self.silent_since: float | None = None
        self.noticed_at = 0.0
        self.told = False

    def sign(self, now: float) -> None:
        self.last_sign = now


class Peer:
    """Another machine's end of the group, as it is known here.

    Attributes:
        address: where its datagrams come from.
        heard: which of its pings to the group were heard.
        report: the latest that it told, if it tells.
        answered: which of our pings to the group it answered.
        there, here: the ways to it and from it.
        alive_at: when it last answered directly or told anything; None if it never did.
        owed: reports that it is still to be sent, for its latest sign.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.id = ""
        self.heard = Numbers()
        self.report: Report | None = None
        self.answered = Numbers()
        self.there, self.here = Way(), Way()
        self.alive_at: float | None = None
        self.owed = 0

    @property
    def proved(self) -> bool:
        """Whether it ever heard what was sent to it; else its address may be forged."""
        return self.alive_at is not None

    def report_of_it(self, own_id: str, sent: int) -> bytes:
        """What was heard of it, as a datagram to it."""
        heard = self.heard
        return encode_report(Report(own_id, self.id, heard.first, heard.last, heard.count, sent))
