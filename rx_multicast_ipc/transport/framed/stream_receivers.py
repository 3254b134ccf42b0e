"""Who hears a stream, and what each of them has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...message import Address
from .packets import Status

MOST_MEMBERS: Final = 4096
"""Receivers that a sender keeps count of."""

_MOST_GONE: Final = 256
"""Receivers that left and are remembered, for who asks whether they had a message."""

_SILENCE: Final = 30.0
"""Seconds after which a receiver that was asked again and again is taken for gone."""

_MEMORY: Final = 30.0
"""Seconds that the shortest round trip is good for: routes change."""


class Member:
    """One receiver.

    Attributes:
        address: where it was heard last.
        number: the next one that it expects; as long as it only said that it is there, the oldest that can be repeated.
        confirmed: whether it said so itself.
        highest: the highest one that it knows of.
        room: bytes of its receive buffer; 0 if not known.
        heard_at: when it last said something.
        behind: whether it is not waited for.
        round_trip: seconds, smoothed; 0 before it was measured.
        deviation: of the round trip, seconds.
    """

    __slots__ = (
        "_least",
        "_least_before",
        "_least_since",
        "address",
        "behind",
        "confirmed",
        "deviation",
        "heard_at",
        "highest",
        "number",
        "room",
        "round_trip",
    )

    def __init__(self, address: Address, number: int, now: float) -> None:
        self.address = address
        self.number = number
        self.highest = number - 1
        self.room = 0
        self.heard_at = now
        self.behind = self.confirmed = False
        self.round_trip = self.deviation = 0.0
        self._least = self._least_before = float("inf")
        self._least_since = now

    def on_round_trip(self, seconds: float, now: float) -> float:
        """Returns the shortest one of late."""
        if not self.round_trip:
            self.round_trip, self.deviation = seconds, seconds / 2
        else:  # RFC 6298
            self.deviation += (abs(seconds - self.round_trip) - self.deviation) / 4
            self.round_trip += (seconds - self.round_trip) / 8
        if now - self._least_since > _MEMORY:
            self._least_before, self._least, self._least_since = self._least, seconds, now
        self._least = min(self._least, seconds)
        return min(self._least, self._least_before)


class Members:
    """The receivers of one stream, by their ends, and how far the slowest that is waited for has come.

    Attributes:
        floor: the least number that one of them expects; None if nobody is waited for.
        seen: the least of the highest numbers that they know of.
        room: the least room; 0 if not known.
    """

    def __init__(self) -> None:
        self._members: dict[int, Member] = {}
        self._gone: dict[int, int] = {}
        self._stale = False
        self._floor: int | None = None
        self._seen = self._room = 0

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[int]:
        return iter(self._members)

    def get(self, end: int) -> Member | None:
        return self._members.get(end)

    def addresses(self) -> dict[int, Address]:
        """Where each of them was heard last."""
        return {end: member.address for end, member in self._members.items()}

    def add(self, end: int, address: Address, number: int, now: float) -> Member | None:
        """A receiver that expects ``number`` next; None if there are too many."""
        if len(self._members) >= MOST_MEMBERS:
            return None
        member = self._members[end] = Member(address, number, now)
        self._stale = True
        return member

    def remove(self, end: int) -> None:
        self._stale = True  # before: nobody is to be held up by one who is gone
        member = self._members.pop(end, None)
        if member is not None and member.confirmed:
            self._gone[end] = member.number
            if len(self._gone) > _MOST_GONE:
                del self._gone[next(iter(self._gone))]

    def expected_when_it_left(self, end: int) -> int:
        """The next number that a receiver expected when it left; 0 if that is not known."""
        return self._gone.get(end, 0)

    @property
    def most_when_left(self) -> int:
        """The highest number that one who left expected; 1 if nobody had anything."""
        return max(self._gone.values(), default=1)

    def on_status(self, member: Member, status: Status, now: float) -> None:
        member.heard_at = now
        if not member.confirmed:
            highest = max(status.highest, status.number - 1)
            member.number, member.highest, member.confirmed, self._stale = status.number, highest, True, True
        if status.number > member.number or status.highest > member.highest or status.room != member.room:
            if not member.behind and (
                member.number == self._floor or member.highest == self._seen or status.room != member.room
            ):
                self._stale = True  # else it does not decide: a thousand others need not be looked at
            member.number = max(member.number, status.number)
            member.highest = max(member.highest, status.highest)
            member.room = status.room

    def wait_for(self, member: Member, waits: bool) -> None:
        """Whether the sender waits for this one."""
        if member.behind is waits:
            member.behind = not waits
            self._stale = True

    def leave_behind(self, number: int, seen: int) -> int:
        """Wait no more for those who still expect ``number`` or know of no more than ``seen``; returns how many."""
        slow = [m for m in self._members.values() if not m.behind and (m.number <= number or m.highest <= seen)]
        for member in slow:
            self.wait_for(member, False)
        return len(slow)

    def forget_silent(self, now: float) -> None:
        for end in [end for end, member in self._members.items() if now - member.heard_at > _SILENCE]:
            self.remove(end)

    @property
    def floor(self) -> int | None:
        if self._stale:
            self._refresh()
        return self._floor

    @property
    def seen(self) -> int:
        if self._stale:
            self._refresh()
        return self._seen

    @property
    def room(self) -> int:
        if self._stale:
            self._refresh()
        return self._room

    @property
    def least(self) -> int:
        """The least number that any of them expects, of those that are left behind too."""
        return min(member.number for member in self._members.values())

    @property
    def hold_off(self) -> float:
        """Seconds until a packet that was sent again may be sent again: the longest of their round trips."""
        return max((m.round_trip + 2 * m.deviation for m in self._members.values()), default=0.0)

    def _refresh(self) -> None:
        waited = [member for member in self._members.values() if not member.behind]
        self._floor = min((member.number for member in waited), default=None)
        self._seen = min((member.highest for member in waited), default=0)
        self._room = min((member.room for member in waited if member.room), default=0)
        self._stale = False  # last, for Ctrl-C may come amid it
