"""One stream that is heard: put in order, asked for what is missing, and for what will not come, a hole. Pure.

A stream begins *unsettled*: what is heard waits until the sender says how old the stream is. Who was there before it
began gets it from the first packet, who came later from the first that was heard. What would skip something (the
sender keeps it no more) or lies far ahead counts only after the sender answered a challenge: a random number that only
who hears what is sent to the sender knows.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any, Final

from ...reliable import Reliable
from .packets import WINDOW_LIMIT, Beat, Data, Status
from .reassembly import Reassembly

_STATUS_EVERY: Final = 8
"""Packets."""

_STATUS_DELAY: Final = 0.01
"""Seconds at most from a packet to its acknowledgement; more in a large group."""

_SLOWEST_STATUS: Final = 1.0

_SMALL_GROUP: Final = 8
"""Receivers that may all ask at once; beyond it, they draw who is first (RFC 5401, section 3.2)."""

_BACK_OFF: Final = 5
"""Times that a repair takes, within which they draw: more than among those who hear each other ask (4 in RFC 5740)."""

_NAK_PAUSE: Final = 0.001
"""Seconds between two requests, at least."""

_USUAL_TRIP: Final = 0.005
"""Seconds from a request to its repair, before one was measured."""

_LONGEST_TRIP: Final = 2.0

_LONGEST_NAK_PAUSE: Final = 0.5

_DOUBTS_AFTER: Final = 4
"""Requests in a row without an answer, after which the sender has to confirm what it said."""

_CHALLENGE_PAUSE: Final = 0.005
_LONGEST_CHALLENGE_PAUSE: Final = 0.5

_GIVE_UP: Final = 30.0
"""Seconds of silence after which what is missing will not come."""

_GIVE_UP_LEFT: Final = 1.0
"""The same after the sender said goodbye."""


class Incoming:
    """One stream that is heard.

    After any call, ``events`` holds what is to be delivered, in order; whoever takes them empties the list. When a
    batch of packets was passed in, or :meth:`timer` is due, :meth:`statuses` gives what is to be sent to the sender.

    Args:
        session: of the stream.
        options: ``keep``, ``largest``.
        room: bytes of receive buffer, to be told to the sender.
        opened_at: since when the receiver is there.
        random: for challenges and waits.
        number: the next one to be delivered, where that is known; 0 if the stream has yet to be settled.
        now: seconds.

    Attributes:
        number: the next one to be delivered; 0 while unsettled.
        events: what is to be delivered.
        heard_at: when something came last.
        left: whether the sender said goodbye.
        asked, repaired: requests for repairs, and packets that came after one.
    """

    def __init__(
        self, session: int, options: Reliable, room: int, opened_at: float, random: Random, now: float, number: int = 0
    ) -> None:
        self.session = session
        self.number = number
        self.heard_at = now
        self.left = False
        self.asked = self.repaired = 0
        self._options = options
        self._room = room
        self._opened_at = opened_at
        self._random = random
        self._base = 0
        self._known = max(0, number - 1)
        self._known_at = now
        self._held: dict[int, tuple[Data, Any]] = {}
        self._missing: dict[int, None] = {}
        self._listed = self._known
        self._held_size = 0
        self._messages = Reassembly(options.largest)
        self.events = self._messages.events
        self._members = 1
        self._trip = 0.0
        self._senders_trip = 0.0
        self._probe = 0
        self._probe_at = 0.0
        self._asked_up_to = 0
        self._nak_at = math.inf
        self._naks_in_vain = 0
        self._last_nak = -math.inf
        self._status_at = math.inf
        self._unreported = 0
        self._challenge = 0
        self._challenge_at = math.inf
        self._challenge_pause = _CHALLENGE_PAUSE

    @property
    def buffered(self) -> int:
        """Bytes that it holds."""
        return self._held_size + self._messages.size

    @property
    def settled(self) -> bool:
        """Whether it is known where the stream begins."""
        return self.number > 0

    @property
    def complete(self) -> bool:
        """Whether nothing that is known to be sent is missing."""
        return self.settled and self.number > self._known and not self._messages.is_amid_a_message

    def settle(self, number: int, now: float) -> None:
        """The stream begins here."""
        self.number = number
        self._listed = number - 1
        self._challenge_at = math.inf
        for early in [held for held in self._held if held < number]:
            self._drop(early)
        self._known = max([self._known, number - 1, *self._held])
        self._deliver_held()
        self._list_missing(now)

    def on_data(self, data: Data, origin: Any, now: float) -> None:
        """A numbered packet came, with whatever its deliveries are to be marked with."""
        self.heard_at = now
        self.left = False
        self._naks_in_vain = 0
        number, due = data.number, self.number
        if number == due:
            if number > self._known:
                self._known, self._known_at = number, now
            if number in self._missing:
                self._note_repair(number, now)
            elif number > self._listed:
                self._listed = number
            self.number = number + 1
            self._messages.take(data, origin)
            if self._held or self._missing or self._known > self._listed:
                self._deliver_held()
                self._list_missing(now)
            self._note_unreported(now)
        elif not due:
            self._hold_unsettled(data, origin, now)
        elif number < due or number in self._held:
            self._note_unreported(now)  # sent again: what was acknowledged did not get there
        elif number >= due + WINDOW_LIMIT:
            self._doubt(now)
        elif self._hold(data, origin):
            if number in self._missing:
                self._note_repair(number, now)
            if number > self._known:
                self._known, self._known_at = number, now
            self._list_missing(now)
            self._note_unreported(now)

    def on_beat(self, beat: Beat, now: float) -> None:
        """The sender says where the stream stands."""
        self._members = max(1, beat.members)
        self._senders_trip = min(beat.round_trip, _LONGEST_TRIP)
        if beat.answer and beat.answer == self._challenge:
            self._challenge, self._challenge_at, self._challenge_pause = 0, math.inf, _CHALLENGE_PAUSE
            self.heard_at = now
            self._on_confirmed(beat, now)
        elif not self.settled or beat.oldest > self.number or beat.number >= self.number + WINDOW_LIMIT:
            self._doubt(now)
        else:
            self.heard_at = now
            self._learn(beat.number, now)
            self.left = False
        if beat.ask and self.settled:
            self._status_in(0.0 if self._members <= _SMALL_GROUP else self._random.random() * self._delay, now)

    def on_bye(self, number: int, now: float) -> None:
        """The sender says that this was its last packet. It cannot confirm that: only what is sure counts."""
        if self.settled and number < self.number + WINDOW_LIMIT:
            self.heard_at = now
            self._learn(number, now)
            self.left = True

    def give_up(self, reason: str, now: float) -> None:
        """What is missing will not come: tell it, and deliver what stands behind it."""
        if self.settled:
            self._skip_to(self._known + 1, reason, now)
        else:
            self._challenge_at = math.inf
            for number in list(self._held):
                self._drop(number)
        self._messages.break_off(reason)
        self._nak_at = math.inf

    def statuses(self, now: float) -> list[Status]:
        """What is to be told to the sender now."""
        if self._gives_up_at() <= now:
            self.give_up("the sender left" if self.left else "the sender fell silent", now)
        nak = now >= self._nak_at and bool(self._missing)
        challenge = now >= self._challenge_at
        if not nak and not challenge and now < self._status_at:
            return []
        if challenge:
            self._challenge = self._challenge or self._random.getrandbits(64) | 1
            self._challenge_at = now + self._challenge_pause
            self._challenge_pause = min(2 * self._challenge_pause, _LONGEST_CHALLENGE_PAUSE)
        self._unreported = 0
        self._status_at = math.inf
        missing = 0
        if nak:
            missing = self._ask(now)
        elif self._nak_at < math.inf and not self._missing:
            self._nak_at = math.inf
        ago = now - self._known_at
        known = max(self._known, self.number - 1)
        return [Status(self.session, self.number, known, ago, self._room, self._challenge, missing)]

    def timer(self) -> float:
        """When :meth:`statuses` is to be asked again if nothing happens before; infinity for never."""
        due = min(self._status_at, self._challenge_at)
        if self._missing:
            due = min(due, self._nak_at)
        return min(due, self._gives_up_at())

    @property
    def _delay(self) -> float:
        """Seconds to an acknowledgement, so that the sender gets no more of them from a large group."""
        return min(_STATUS_DELAY * max(1.0, self._members / _SMALL_GROUP), _SLOWEST_STATUS)

    @property
    def _repair_time(self) -> float:
        """Seconds from a request to its repair."""
        return max(self._trip or _USUAL_TRIP, self._senders_trip, _NAK_PAUSE)

    @property
    def _nak_pause(self) -> float:
        return max(_NAK_PAUSE, self._trip / 4)

    def _gives_up_at(self) -> float:
        if not self._held if not self.settled else self.complete:
            return math.inf
        return self.heard_at + (_GIVE_UP_LEFT if self.left else _GIVE_UP)

    # What is known and what is missing

    def _learn(self, number: int, now: float) -> None:
        if number > self._known:
            self._known, self._known_at = number, now
        self._list_missing(now)

    def _list_missing(self, now: float) -> None:
        """Note the holes up to what is known, as far as a STATUS can tell of them, and ask for new ones soon."""
        last = min(self._known, self.number + WINDOW_LIMIT - 1)
        first = max(self._listed + 1, self.number)
        if last >= first:
            self._listed = last
            new = [number for number in range(first, last + 1) if number not in self._held]
            if new:
                self._missing.update(dict.fromkeys(new))
                wait = 0.0 if self._members <= _SMALL_GROUP else self._back_off()
                self._nak_at = min(self._nak_at, max(now + wait, self._last_nak + self._nak_pause))

    def _back_off(self) -> float:
        """Seconds, drawn so that few of a group ask before the repair that the first gets is heard (RFC 5401)."""
        longest = _BACK_OFF * self._repair_time
        rate = math.log(self._members) + 1
        drawn = self._random.random()
        return longest / rate * math.log(drawn * (math.exp(rate) - 1) + 1)

    def _ask(self, now: float) -> int:
        """The bitmap of what is missing; when to ask again is set."""
        number = self.number
        bits = bytearray(WINDOW_LIMIT // 8)
        for one in self._missing:
            place = one - number
            bits[place >> 3] |= 1 << (place & 7)
        first = next(iter(self._missing))
        if self._probe in self._missing:
            self._probe = 0  # asked for twice: which request was answered will not be known (Karn)
        if first > self._asked_up_to:
            self._probe, self._probe_at = first, now
        self._asked_up_to = max(self._asked_up_to, next(reversed(self._missing)))
        self.asked += 1
        self._last_nak = now
        pause = min(1.5 * self._repair_time * 2 ** min(self._naks_in_vain, 10), _LONGEST_NAK_PAUSE)
        if self._members > _SMALL_GROUP:
            pause += self._back_off()
        self._nak_at = now + pause
        self._naks_in_vain += 1
        if self._naks_in_vain > _DOUBTS_AFTER:
            self._doubt(now)
        return int.from_bytes(bits, "little")

    def _note_repair(self, number: int, now: float) -> None:
        del self._missing[number]
        if number <= self._asked_up_to:
            self.repaired += 1
        if number == self._probe:
            trip = min(now - self._probe_at, _LONGEST_TRIP)
            self._trip = trip if not self._trip else 0.75 * self._trip + 0.25 * trip
            self._probe = 0
        if not self._missing:
            self._nak_at = math.inf

    def _note_unreported(self, now: float) -> None:
        self._unreported += 1
        if self._unreported >= _STATUS_EVERY * max(1, self._members // _SMALL_GROUP):
            self._status_at = now
        elif self._status_at == math.inf:
            spread = 1.0 if self._members <= _SMALL_GROUP else 0.5 + self._random.random()
            self._status_at = now + self._delay * spread

    def _status_in(self, seconds: float, now: float) -> None:
        self._status_at = min(self._status_at, now + seconds)

    # What is doubted until the sender confirms it

    def _doubt(self, now: float) -> None:
        if self._challenge_at == math.inf:
            self._challenge_at = now

    def _on_confirmed(self, beat: Beat, now: float) -> None:
        if not self.settled:
            if beat.age <= now - self._opened_at:
                self.settle(1, now)
            else:
                self.settle(min([*self._held, beat.number + 1]), now)
        if beat.number < self._known:  # somebody else said there was more
            self._known = max([beat.number, self.number - 1, *self._held])
            for number in [number for number in self._missing if number > self._known]:
                del self._missing[number]
            self._listed = min(self._listed, self._known)
        if beat.oldest > self.number:
            self._skip_to(beat.oldest, "the sender keeps it no more", now)
        self._learn(beat.number, now)
        self._status_in(0.0, now)

    def _hold_unsettled(self, data: Data, origin: Any, now: float) -> None:
        base = self._base = self._base or data.number
        if abs(data.number - base) < WINDOW_LIMIT and data.number not in self._held:
            self._hold(data, origin)
        self._doubt(now)

    # What is held and delivered

    def _hold(self, data: Data, origin: Any) -> bool:
        size = len(data.body)
        if self._held_size + size > self._options.keep:
            return False  # it will be sent again
        self._held[data.number] = data, origin
        self._held_size += size
        return True

    def _drop(self, number: int) -> tuple[Data, Any]:
        held = self._held.pop(number)
        self._held_size -= len(held[0].body)
        return held

    def _deliver_held(self) -> None:
        held = self._held
        while self.number in held:
            data, origin = self._drop(self.number)
            if data.number > self._known:
                self._known = data.number
            self.number += 1
            self._messages.take(data, origin)

    def _skip_to(self, number: int, reason: str, now: float) -> None:
        """Deliver what is held before ``number``, and tell the holes between."""
        for held in sorted(held for held in self._held if held < number):
            self._messages.tell_hole(held - self.number, reason)
            data, origin = self._drop(held)
            self.number = held + 1
            self._messages.take(data, origin)
        self._messages.tell_hole(number - self.number, reason)
        self.number = max(self.number, number)
        self._known = max(self._known, self.number - 1)
        for missing in [missing for missing in self._missing if missing < self.number]:
            del self._missing[missing]
        self._listed = max(self._listed, self.number - 1)
        if not self._missing:
            self._nak_at = math.inf
        self._deliver_held()
        self._list_missing(now)
