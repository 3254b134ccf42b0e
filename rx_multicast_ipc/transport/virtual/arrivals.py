"""What is on its way on a virtual network, in the order in which it arrives."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any, Final

import msgspec
from reactivex.scheduler import VirtualTimeScheduler

from ...message import Address, Family, Message

_MICROSECONDS_A_BUCKET: Final = 1000

_MOST_MOVED: Final = 4096
"""Arrivals that one is put before, at most, in a list that is sorted already."""


class Carried(msgspec.Struct, frozen=True, gc=False):
    """What a datagram is wherever it arrives.

    Attributes:
        payload: its bytes.
        address, port, family, direct, destination: as of the message.
        interface: the name of the one that it comes by; None for the receiving host's on the network.
    """

    payload: bytes
    address: str
    port: int
    family: Family
    direct: bool
    destination: Address
    interface: str | None

    def message(self, at: int) -> Message:
        """As it is heard, at so many virtual microseconds; without an interface."""
        return Message(
            self.payload,
            self.address,
            self.port,
            self.family,
            at / 1_000_000,  # the very float that one would write
            self.direct,
            "",
            self.destination,
        )


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One datagram at one end.

    There may be a million of them: they refer to nothing that the collector would have to follow, and so cost it
    nothing; hence the end is a number.

    Attributes:
        at: virtual microseconds.
        end: the end's number on its network.
        carried: the datagram, which all its arrivals share.
    """

    at: int
    end: int
    carried: Carried


class Arrivals:
    """A calendar of arrivals: a list for each millisecond, which is sorted once its time has come.

    Putting one in and taking it out costs the same however many there are; a heap would look at twenty others, each
    somewhere else in memory. Those of one moment keep the order in which they were put in.

    A :class:`rx_multicast_ipc.testing.VirtualClock` is told when there is something to wait for, and has it run before
    what else is due at that moment: a message that comes together with a time-out is in time, as it is for a thread
    that reads before it looks at its timers. Any other scheduler gets an action for each moment, and knows no such
    order.

    Args:
        scheduler: the clock.
        deliver: takes all that arrives at one moment, if it is several.
        deliver_one: takes what arrives at one moment alone, as nearly all does where there is jitter.

    Attributes:
        due: when the next ones arrive, in virtual microseconds; -1 while there are none.
    """

    def __init__(
        self,
        scheduler: VirtualTimeScheduler,
        deliver: Callable[[list[Arrival]], object],
        deliver_one: Callable[[Arrival], object],
    ) -> None:
        self.due = -1
        self._scheduler = scheduler
        self._serve: Callable[[Arrivals], None] | None = getattr(scheduler, "serve", None)
        self._moments: set[int] = set()
        self._deliver = deliver
        self._deliver_one = deliver_one
        self._soon: list[Arrival] = []
        """Those of the bucket whose turn it is, and of all before it, the latest first."""
        self._bucket = 0
        self._later: dict[int, list[Arrival]] = {}
        self._buckets: list[int] = []
        """A heap of the numbers of the later buckets."""

    @property
    def last(self) -> int:
        """When the last of them arrives, in virtual microseconds."""
        last = max(self._later, default=None)
        return max(arrival.at for arrival in (self._soon if last is None else self._later[last]))

    def put(self, arrivals: Sequence[Arrival]) -> None:
        """Add what was sent."""
        was_empty = not self._soon
        self._add(arrivals)
        if not self._soon:
            return
        self.due = self._soon[-1].at
        if self._serve is None:
            self._schedule(arrivals)
        elif was_empty:
            self._serve(self)

    def run(self) -> None:
        """Deliver what arrives at the next moment."""
        soon = self._soon
        arrival = soon.pop()
        at = arrival.at
        if soon and (due := soon[-1].at) != at:
            self.due = due
            self._deliver_one(arrival)
            return
        arrived = [arrival]
        while soon and soon[-1].at == at:
            arrived.append(soon.pop())
        if not soon and self._buckets:
            self._bucket = bucket = heappop(self._buckets)
            soon.extend(self._later.pop(bucket))
            soon.reverse()
            soon.sort(key=_at, reverse=True)  # which keeps equal ones as they are: the last one first
        self.due = soon[-1].at if soon else -1
        self._deliver(arrived)

    def _add(self, arrivals: Sequence[Arrival]) -> None:
        soon, later = self._soon, self._later
        for arrival in arrivals:
            bucket = arrival.at // _MICROSECONDS_A_BUCKET
            if not soon:
                soon.append(arrival)
                self._bucket = bucket
            elif bucket <= self._bucket:
                place = bisect_left(soon, -arrival.at, key=_backwards)
                soon.insert(place, arrival)
                if bucket < self._bucket and len(soon) - place > _MOST_MOVED:
                    self._start_over()
            else:
                others = later.get(bucket)
                if others is None:
                    later[bucket] = [arrival]
                    heappush(self._buckets, bucket)
                else:
                    others.append(arrival)

    def _start_over(self) -> None:
        """Put what comes soon into buckets again: a whole crowd comes before what was the first one once."""
        in_order = self._soon[::-1]
        self._soon.clear()
        self._add(in_order)

    def _schedule(self, arrivals: Sequence[Arrival]) -> None:
        now = self._scheduler.to_seconds(self._scheduler.now)
        for arrival in arrivals:
            if arrival.at not in self._moments:
                self._moments.add(arrival.at)
                self._scheduler.schedule_relative(arrival.at / 1_000_000 - now, self._run_until, arrival.at)

    def _run_until(self, _scheduler: object, moment: Any) -> None:
        self._moments.discard(moment)
        while self._soon and self.due <= moment:
            self.run()


_at = attrgetter("at")


def _backwards(arrival: Arrival) -> int:
    return -arrival.at
