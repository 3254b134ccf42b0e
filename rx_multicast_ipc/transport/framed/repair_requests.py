"""The packets of a stream that are known to be sent and have not come, and when to ask for them."""

from __future__ import annotations

import math
from collections.abc import Container
from random import Random
from typing import Final

from .packets import WINDOW_LIMIT

SMALL_GROUP: Final = 8
"""Receivers that may all ask at once; beyond it, they draw who is first (RFC 5401, section 3.2)."""

_BACK_OFF: Final = 5
"""Times that a repair takes, within which they draw: more than among those who hear each other ask (4 in RFC 5740)."""

_SHORTEST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.5
"""Seconds between two requests."""

_USUAL_TRIP: Final = 0.005
"""Seconds from a request to its repair, before one was measured."""

LONGEST_TRIP: Final = 2.0


class MissingPackets:
    """What is missing of one stream.

    Args:
        random: for waits.

    Attributes:
        at: when to ask for it; infinity if nothing is missing.
        listed: everything up to here is either missing or has come.
        asked, repaired: requests so far, and packets that came after one.
        in_vain: requests in a row without an answer.
        members: receivers that the sender knows.
        senders_trip: seconds of round trip that the sender measured; 0 if it has not.
    """

    def __init__(self, random: Random, listed: int) -> None:
        self.at = math.inf
        self.listed = listed
        self.asked = self.repaired = self.in_vain = 0
        self.members = 1
        self.senders_trip = 0.0
        self._random = random
        self._numbers: dict[int, None] = {}
        self._trip = 0.0
        self._probe = 0
        self._probe_at = 0.0
        self._asked_up_to = 0
        self._last_asked = -math.inf

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    @property
    def in_small_group(self) -> bool:
        return self.members <= SMALL_GROUP

    def list(self, first: int, last: int, held: Container[int], now: float) -> None:
        """Note what is missing from ``first`` to ``last``, beyond what is listed, and ask for it soon."""
        first = max(self.listed + 1, first)
        if last < first:
            return
        new = [number for number in range(first, last + 1) if number not in held]
        if new:
            wait = 0.0 if self.in_small_group else self._back_off()
            at = min(self.at, max(now + wait, self._last_asked + max(_SHORTEST_PAUSE, self._trip / 4)))
            self._numbers |= dict.fromkeys(new)
            self.at = at
        self.listed = last  # last: what is listed is not looked at again

    def unlist(self, known: int) -> None:
        """Nothing beyond ``known`` was sent after all."""
        self.listed = min(self.listed, known)  # first: what is forgotten and listed would never be asked for
        self._forget([number for number in self._numbers if number > known])

    def skip(self, number: int) -> None:
        """What was missing before ``number`` is so no more."""
        self._forget([missing for missing in self._numbers if missing < number])
        self.listed = max(self.listed, number - 1)

    def on_repair(self, number: int, now: float) -> None:
        """One that was missing came."""
        if number <= self._asked_up_to:
            self.repaired += 1
        if number == self._probe:
            trip = min(now - self._probe_at, LONGEST_TRIP)
            self._trip = trip if not self._trip else 0.75 * self._trip + 0.25 * trip
            self._probe = 0
        self._forget([number])

    def ask(self, number: int, now: float) -> int:
        """The bitmap of what is missing from ``number`` on, which is asked for now; sets when to ask again.

        It may be nothing, after Ctrl-C came between a packet and the note that it is missing no more.
        """
        if next(iter(self._numbers), number) < number:
            self.skip(number)
        if not self._numbers:
            self.at = math.inf
            return 0
        bits = bytearray(WINDOW_LIMIT // 8)
        for one in self._numbers:
            place = one - number
            bits[place >> 3] |= 1 << (place & 7)
        first = next(iter(self._numbers))
        if self._probe in self._numbers:
            self._probe = 0  # asked for twice: which request was answered will not be known (Karn)
        if first > self._asked_up_to:
            self._probe, self._probe_at = first, now
        self._asked_up_to = max(self._asked_up_to, next(reversed(self._numbers)))
        self.asked += 1
        self._last_asked = now
        pause = min(1.5 * self._repair_time * 2 ** min(self.in_vain, 10), _LONGEST_PAUSE)
        self.at = now + (pause if self.in_small_group else pause + self._back_off())
        self.in_vain += 1
        return int.from_bytes(bits, "little")

    @property
    def _repair_time(self) -> float:
        """Seconds from a request to its repair."""
        return max(self._trip or _USUAL_TRIP, self.senders_trip, _SHORTEST_PAUSE)

    def _back_off(self) -> float:
        """Seconds, drawn so that few of a group ask before the repair that the first gets is heard (RFC 5401)."""
        longest = _BACK_OFF * self._repair_time
        rate = math.log(self.members) + 1
        drawn = self._random.random()
        return longest / rate * math.log(drawn * (math.exp(rate) - 1) + 1)

    def _forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self._numbers.pop(number, None)
        if not self._numbers:
            self.at, self.in_vain = math.inf, 0
