"""Who is in the group, as one end knows it: a state machine without clock or sockets.

Each member sends a packet to the group once an interval, its *beat*. Three beats in a row may get lost. Once the fourth
is overdue, the member is probed, three times, and has left if it answers none of the probes: within five intervals of
its last packet. A member that leaves says so, twice, for one packet may be lost. Where an engine reports that a member
is gone, that member is probed at once, and has a quarter of a second to answer.

A newcomer says hello with its first beat, and the other members bring their next beat forward, which costs no more
packets than they would have sent. Packets are numbered within a session: one that is not higher than the last is late.
"""

from __future__ import annotations

import math
from random import Random
from typing import Final, NamedTuple

import msgspec

from ...message import Address
from ...option_values.member import Member
from ...option_values.presence import Presence
from ...strangers.bounded_map import BoundedMap
from ...strangers.rate_limit import AnswerLimit
from .deadlines import Deadlines
from .packet import HELLO, LEAVE, PROBE, PresencePacket

MOST_MEMBERS: Final = 1000
"""Members that are kept; strangers may invent any number of them. One more takes the place of one that was not heard
for ``_STALE`` seconds, or is left out."""

_STALE: Final = 5.0
_LOOKS_FOR_STALE: Final = 0.1
"""Seconds between two searches for one, for each looks at all members."""

GOODBYE: Final = "said goodbye"
SILENT: Final = "silent"
"""Why a member has left."""

CAME: Final = "came"
MOVED: Final = "moved"
"""What else happened to one; one that moved sends from another address."""

_OVERDUE: Final = 4.15
"""Intervals after a sign of life at which the fourth beat is overdue: it may be late by a tenth and some."""

_OVERDUE_UNASKED: Final = 8.15
"""The same for an end that only listens, and so cannot probe."""

_PROBES: Final = 3
_PROBE_COPIES: Final = 2
"""Each probe is sent twice, so that one lost packet does not waste it."""

_PROBE_WAIT: Final = 0.2
"""Intervals that an answer may take, and up to a fifth more."""

_LOST_WAIT: Final = 0.25
"""Seconds that a member has to answer after an engine reported that it is gone."""

_SILENCE: Final = 1.8
"""Intervals without a sign of life from a member's address, after which it may be at another one."""

_BEAT_JITTER: Final = 0.03
"""Beats come by so much of an interval early or late, so that those of many members spread."""

_LEAST_PAUSE: Final = 0.25
"""Intervals between two beats, however many say hello."""

_HELLO_SPREAD: Final = 0.02
"""Seconds for each member, over which their answers to a hello spread."""

_REMEMBERED: Final = 10.0
"""Seconds for which a late packet of a member that said goodbye does not bring it back."""

Outgoing = tuple[PresencePacket, Address | None]
"""A packet and where it goes; None is the group."""


class Change(NamedTuple):
    """What happened to one member: CAME, MOVED, or why it has left."""

    member: Member
    what: str


class _Known:
    """A member that is there.

    Attributes:
        heard_at: when its last packet came.
        address_at: the same from ``member``'s address, for an end may speak from several.
        number: the highest number of a packet of it.
        probes: how many were sent to it since.
        lost_at: when an engine reported that it is gone, if it was not heard since.
    """

    __slots__ = ("address_at", "heard_at", "interval", "lost_at", "member", "number", "probes")

    def __init__(self, member: Member, interval: float, number: int, now: float) -> None:
        self.member = member
        self.interval = interval
        self.number = number
        self.heard_at = self.address_at = now
        self.probes = 0
        self.lost_at: float | None = None


class PresenceMachine:
    """Who is there. Times are seconds on any clock that only goes forward.

    Args:
        presence: what this end says of itself.
        session: tells this opening from others.
        address: where it speaks from.
        random: draws the jitter.
        now: when it begins.

    Attributes:
        changes: what happened to members, not yet taken.
        refused: packets of more members than are kept.
    """

    def __init__(self, presence: Presence, session: int, address: Address, random: Random, now: float) -> None:
        self._presence = presence
        self._session = session
        self._own = None if presence.name is None else Member(presence.name, *address, presence.about, session)
        self._random = random
        self._now = now
        self._number = 0
        self._beat_at = math.inf if self._own is None else now
        self._last_beat = -math.inf
        self._greets = True
        self._known: dict[int, _Known] = {}
        self._deadlines: Deadlines[int] = Deadlines()
        self._looks_for_stale_at = now
        self._gone: BoundedMap[int, float] = BoundedMap(MOST_MEMBERS)
        self._answers = AnswerLimit(lambda: self._now)
        self._ready: list[Outgoing] = []
        self._overdue = _OVERDUE_UNASKED if self._own is None else _OVERDUE
        self.changes: list[Change] = []
        self.refused = 0

    @property
    def speaks(self) -> bool:
        """Whether it sends packets, and so may probe others."""
        return self._own is not None

    @property
    def members(self) -> frozenset[Member]:
        """All members, this end among them."""
        own = () if self._own is None else (self._own,)
        return frozenset((*own, *(known.member for known in self._known.values())))

    def receive(self, packet: PresencePacket, source: Address, now: float) -> None:
        """Take a packet that came from ``source``."""
        self._now = now
        session, number, flags, interval, name, about = packet
        if session == self._session:
            return
        known = self._known.get(session)
        if known is None:
            if flags & LEAVE or not self._joins(session, now):
                return
            if len(self._known) >= MOST_MEMBERS and not self._makes_room(now):
                self.refused += 1
                return
            known = self._known[session] = _Known(Member(name, *source, about, session), interval, number, now)
            self._deadlines.set(session, now + interval * self._overdue)
            self.changes.append(Change(known.member, CAME))
        else:
            if number <= known.number or not self._may_be(known, source, flags, now):
                return
            known.number = number
            known.heard_at = now
            known.probes = 0
            if source == known.member.sender:
                known.address_at = now
            elif now - known.address_at > _SILENCE * known.interval and not flags & LEAVE:
                self._move(known, source, now)
        if flags:
            self._on_flags(known, flags, source, now)

    def lose(self, source: Address, now: float) -> None:
        """An engine reports that the end at ``source`` is gone: probe it at once; it has left if it does not answer.

        The report alone is not enough: any client of the engine could cause it, and an end that lost its connection
        for a moment is back before anybody needs to know.
        """
        for known in self._known.values():
            if known.member.sender == source:
                known.lost_at = now
                self._deadlines.set(known.member.session, now)

    def forgive(self, now: float) -> None:
        """This end lost its own connection, so the engine's reports mean nothing. Beats decide."""
        for known in self._known.values():
            if known.lost_at is not None:
                known.lost_at = None
                self._deadlines.set(known.member.session, max(now, known.heard_at + known.interval * self._overdue))

    def due(self, now: float) -> list[Outgoing]:
        """What is to be sent now; members that stayed silent have left afterwards."""
        self._now = now
        ready, self._ready = self._ready, []
        if now >= self._beat_at:
            ready.append((self._packet(HELLO if self._greets else 0), None))
            self._greets = False
            self._last_beat = now
            jitter = self._random.uniform(-_BEAT_JITTER, _BEAT_JITTER)
            self._beat_at = now + self._presence.interval * (1 + jitter)
        while (session := self._deadlines.take(now)) is not None:
            again = self._look_after(self._known[session], ready, now)
            if again < math.inf:
                self._deadlines.set(session, again)
        return ready

    def timer(self) -> float:
        """When :meth:`due` is to be called next if nothing arrives before."""
        if self._ready:
            return self._now
        return min(self._beat_at, self._deadlines.next())

    def leave(self) -> list[Outgoing]:
        """What is to be sent last."""
        if self._own is None or not self._number:  # nobody knows of it
            return []
        self._beat_at = math.inf
        return [(self._packet(LEAVE), None) for _ in range(2)]

    def _makes_room(self, now: float) -> bool:
        """Give up the member that was not heard for longest, if that is long enough; returns whether it was."""
        if now < self._looks_for_stale_at:
            return False
        self._looks_for_stale_at = now + _LOOKS_FOR_STALE
        oldest = min(self._known.values(), key=lambda known: known.heard_at)
        if now - oldest.heard_at <= _STALE:
            return False
        self._remove(oldest, SILENT)
        return True

    def _joins(self, session: int, now: float) -> bool:
        """Whether this packet makes its sender a member: it is no late packet of one that left."""
        left_at = self._gone.get(session)
        return left_at is None or now - left_at > _REMEMBERED

    def _on_flags(self, known: _Known, flags: int, source: Address, now: float) -> None:
        if flags & LEAVE:
            self._remove(known, GOODBYE)
            self._gone.pop(known.member.session, None)
            self._gone.use(known.member.session, lambda _: now)
            return
        if self._own is None:
            return
        if flags & PROBE and self._answers.allows(source[0], 0):
            self._ready.append((self._packet(0), source))
        if flags & HELLO:
            spread = min(self._presence.interval, _HELLO_SPREAD * len(self._known))
            soonest = max(now, self._last_beat + _LEAST_PAUSE * self._presence.interval)
            self._beat_at = min(self._beat_at, soonest + spread * self._random.random())

    def _look_after(self, known: _Known, ready: list[Outgoing], now: float) -> float:
        """Probe a silent member, or give it up; returns when to look again."""
        if known.lost_at is not None and known.heard_at <= known.lost_at:
            return self._look_after_lost(known, known.lost_at + _LOST_WAIT, ready, now)
        deadline = known.heard_at + known.interval * self._overdue
        if deadline > now:
            return deadline
        if self._own is None or known.probes == _PROBES:
            self._remove(known, SILENT)
            return math.inf
        known.probes += 1
        ready += [(self._packet(PROBE), known.member.sender) for _ in range(_PROBE_COPIES)]
        return now + known.interval * _PROBE_WAIT * (1 + 0.2 * self._random.random())

    def _look_after_lost(self, known: _Known, until: float, ready: list[Outgoing], now: float) -> float:
        if now >= until:
            self._remove(known, SILENT)
            return math.inf
        if self._own is not None:
            ready += [(self._packet(PROBE), known.member.sender) for _ in range(_PROBE_COPIES)]
        return until

    def _may_be(self, known: _Known, source: Address, flags: int, now: float) -> bool:
        """Whether a packet from ``source`` is taken for one of this member's.

        A member keeps its port, except behind a bridge that was replaced; so another port is believed after silence.
        """
        if source[1] == known.member.port:
            return True
        return now - known.heard_at > _SILENCE * known.interval and not flags & LEAVE

    def _move(self, known: _Known, source: Address, now: float) -> None:
        """It sends from another address than before."""
        known.member = msgspec.structs.replace(known.member, address=source[0], port=source[1])
        known.address_at = now
        self.changes.append(Change(known.member, MOVED))

    def _remove(self, known: _Known, reason: str) -> None:
        del self._known[known.member.session]
        self._deadlines.drop(known.member.session)
        self.changes.append(Change(known.member, reason))

    def _packet(self, flags: int) -> PresencePacket:
        self._number += 1
        presence = self._presence
        return PresencePacket(
            self._session, self._number, flags, presence.interval, presence.name or "", presence.about
        )
