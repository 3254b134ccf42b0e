"""One stream that is heard: put in order, asked for what is missing, and for what will not come, a hole. Pure.

A stream begins *unsettled*: what is heard waits until the sender says how old the stream is. Who was there before it
began gets it from the first packet, who came later from the first that was heard. What would skip something (the
sender keeps it no more) or lies far ahead counts only after the sender answered a challenge.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any, Final

from ...message import Address
from ...option_values.reliable import Reliable
from .challenge import Challenge
from .early_packets import EarlyPackets
from .packets import WINDOW_LIMIT, Beat, Data, Status
from .reassembly import Event, Reassembly
from .repair_requests import LONGEST_TRIP, MissingPackets
from .status_timing import AT_MOST, FOR_EACH, StatusTiming

_DOUBTS_AFTER: Final = 4
"""Requests in a row without an answer, after which the sender has to confirm what it said."""

_GIVE_UP: Final = 30.0
"""Seconds of silence after which what is missing will not come."""

_GIVE_UP_LEFT: Final = 1.0
"""The same after the sender said goodbye."""


class Incoming:
    """One stream that is heard.

    When a batch of packets was passed in, or :meth:`timer` is due, :meth:`statuses` gives what is to be sent to the
    sender.

    Args:
        session: of the stream.
        sender: where it comes from, and hears.
        events: gets what is to be delivered, in order.
        options: ``keep``, ``largest``.
        room: bytes of receive buffer, to be told to the sender.
        opened_at: since when the receiver is there.
        random: for challenges and waits.
        number: the next one to be delivered, where that is known; 0 if the stream has yet to be settled.
        now: seconds.

    Attributes:
        heard_at: when something came last.
        left: whether the sender said goodbye.
        status: when it acknowledges what came.
    """

    def __init__(
        self,
        session: int,
        sender: Address,
        events: list[Event],
        options: Reliable,
        room: int,
        opened_at: float,
        random: Random,
        now: float,
        number: int = 0,
    ) -> None:
        self.session = session
        self.sender = sender
        self.heard_at = now
        self.left = False
        self._room = room
        self._opened_at = opened_at
        self._base = 0
        self._known: int = max(0, number - 1)
        self._known_at = now
        self._early = EarlyPackets(options.keep)
        self._missing = MissingPackets(random, self._known)
        self._challenge = Challenge(random)
        self._messages = Reassembly(sender, options.largest, events, number)
        self.status = StatusTiming(self._missing, random)

    def move_to(self, sender: Address) -> None:
        """It comes from another address from now on, and its sender hears there."""
        self.sender = sender
        self._messages.move_to(sender)

    @property
    def number(self) -> int:
        """The next one to be delivered; 0 while unsettled."""
        return self._messages.number

    @property
    def asked(self) -> int:
        """Requests for repairs."""
        return self._missing.asked

    @property
    def repaired(self) -> int:
        """Packets that came after a request."""
        return self._missing.repaired

    @property
    def holes(self) -> int:
        """Holes that were told."""
        return self._messages.holes

    @property
    def buffered(self) -> int:
        """Bytes that it holds."""
        return self._early.size + self._messages.size

    @property
    def settled(self) -> bool:
        """Whether it is known where the stream begins."""
        return self._messages.number > 0

    @property
    def complete(self) -> bool:
        """Whether nothing that is known to be sent is missing."""
        messages = self._messages
        return messages.number > 0 and messages.number > self._known and messages.parts is None

    @property
    def hurries(self) -> bool:
        """Whether :meth:`timer` is to be kept to the millisecond: something is missing, or not known."""
        return bool(self._missing) or self._challenge.at < math.inf

    def settle(self, number: int, now: float) -> None:
        """The stream begins here."""
        early = self._early.numbers()
        self._known = max([self._known, number - 1, *early])
        self._missing.listed = number - 1
        self._messages.number = number
        self._challenge.at = math.inf
        for held in early:
            if held < number:
                self._early.drop(held)
        self._catch_up(now)

    def take_next(self, number: int, size: int, now: float) -> bool:
        """Whether a packet is the next one, of one message with ``size`` bytes, and nothing is missing: it is taken.

        Once it is delivered, the status is to be looked at, if it owes enough. Nothing is called: an answer waits for
        this, and Ctrl-C comes before all of it or after.
        """
        messages = self._messages
        if number != messages.number or self._known >= number or messages.parts is not None or self.left:
            return False
        messages.number = number + 1
        self._known = number  # so nothing is held, or missing, either
        self._known_at = self.heard_at = now
        # As `StatusTiming.on_packet` counts it.
        self.status.owed += size + FOR_EACH if size < AT_MOST - FOR_EACH else AT_MOST
        return True

    def on_data(self, data: Data, origin: Any, now: float) -> None:
        """A numbered packet came, with whatever its deliveries are to be marked with."""
        self.heard_at = now
        self.left = False
        missing = self._missing
        missing.in_vain = 0
        number, due = data.number, self._messages.number
        if number == due:
            if number > self._known:
                self._known, self._known_at = number, now
            self._messages.take(data, origin)
            if number > missing.listed:
                missing.listed = number
            elif number in missing:
                missing.on_repair(number, now)
            if self._early or missing or self._known > missing.listed:
                self._catch_up(now)
            self.status.on_packet(len(data.body), now)
        elif not due:
            self._hold_unsettled(data, origin, now)
        elif number < due or number in self._early:
            self.status.on_packet(len(data.body), now)  # sent again: what was acknowledged did not get there
        elif number >= due + WINDOW_LIMIT:
            self._challenge.doubt(now)
        elif self._early.hold(data, origin):
            if number == self._known + 1 == missing.listed + 1 and due not in self._early:
                # Nothing else has become known, or due.
                self._known, self._known_at, missing.listed = number, now, number
            else:
                if number in missing:
                    missing.on_repair(number, now)
                if number > self._known:
                    self._known, self._known_at = number, now
                self._catch_up(now)
            self.status.on_packet(len(data.body), now)

    def on_beat(self, beat: Beat, now: float) -> None:
        """The sender says where the stream stands."""
        missing = self._missing
        missing.members = max(1, beat.members)
        missing.senders_trip = min(beat.round_trip, LONGEST_TRIP)
        if self._challenge.is_answered_by(beat.answer):
            self.heard_at = now
            self._on_confirmed(beat, now)
        elif not self.settled or beat.oldest > self.number or beat.number >= self.number + WINDOW_LIMIT:
            self._challenge.doubt(now)
        else:
            self.heard_at = now
            self._learn(beat.number, now)
            self.left = False
        if beat.ask and self.settled:
            self.status.on_asked(now)

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
            self._challenge.at = math.inf
            for number in self._early.numbers():
                self._early.drop(number)
        self._messages.break_off(reason)

    def statuses(self, now: float) -> list[Status]:
        """What is to be told to the sender now."""
        if self._gives_up_at() <= now:
            self.give_up("the sender left" if self.left else "the sender fell silent", now)
        asks, challenges = now >= self._missing.at, now >= self._challenge.at
        if not asks and not challenges and now < self.status.at:
            return []
        challenge = self._challenge.ask(now) if challenges else self._challenge.current()
        self.status.on_told()
        missing = 0
        if asks:
            missing = self._missing.ask(self.number, now)
            if self._missing.in_vain > _DOUBTS_AFTER:
                self._challenge.doubt(now)
        ago = now - self._known_at
        known = max(self._known, self.number - 1)
        return [Status(self.session, self.number, known, ago, self._room, challenge, missing)]

    def last_status(self, now: float) -> list[Status]:
        """What is to be told to the sender by a receiver that leaves: what it has, if that was not told yet."""
        if not self.status.owed or not self.settled:
            return []
        self.status.on_told()
        ago = now - self._known_at
        return [Status(self.session, self.number, max(self._known, self.number - 1), ago, self._room)]

    def timer(self) -> float:
        """When :meth:`statuses` is to be asked again if nothing happens before; infinity for never."""
        due = self.status.at
        if self._challenge.at < due:
            due = self._challenge.at
        if self._missing.at < due:
            due = self._missing.at
        return due if self.complete else min(due, self._gives_up_at())

    def _gives_up_at(self) -> float:
        if not self._early if not self.settled else self.complete:
            return math.inf
        return self.heard_at + (_GIVE_UP_LEFT if self.left else _GIVE_UP)

    # What is known

    def _learn(self, number: int, now: float) -> None:
        if number > self._known:
            self._known, self._known_at = number, now
        self._catch_up(now)

    def _on_confirmed(self, beat: Beat, now: float) -> None:
        if not self.settled:
            if beat.age <= now - self._opened_at:
                self.settle(1, now)
            else:
                self.settle(min([*self._early.numbers(), beat.number + 1]), now)
        if beat.number < self._known:  # somebody else said there was more
            self._known = max([beat.number, self.number - 1, *self._early.numbers()])
            self._missing.unlist(self._known)
        if beat.oldest > self.number:
            self._skip_to(beat.oldest, "the sender keeps it no more", now)
        self._learn(beat.number, now)
        self.status.hurry(now)

    # What is held and delivered

    def _hold_unsettled(self, data: Data, origin: Any, now: float) -> None:
        base = self._base = self._base or data.number
        if abs(data.number - base) < WINDOW_LIMIT and data.number not in self._early:
            self._early.hold(data, origin)
        self._challenge.doubt(now)

    def _catch_up(self, now: float) -> None:
        """Deliver what is held and due, and note the holes up to what is known, as far as a STATUS can tell of them."""
        messages, early = self._messages, self._early
        if early:
            early.drop_before(messages.number)
            while (held := early.get(messages.number)) is not None:
                data, origin = held
                if data.number > self._known:
                    self._known = data.number
                messages.take(data, origin)
                early.drop(data.number)
        number = messages.number
        self._missing.list(number, min(self._known, number + WINDOW_LIMIT - 1), early, now)

    def _skip_to(self, number: int, reason: str, now: float) -> None:
        """Deliver what is held before ``number``, and tell the holes between."""
        messages, early = self._messages, self._early
        for place in sorted(early.numbers()):
            held = early.get(place) if place < number else None
            if held is not None:
                if place >= messages.number:
                    messages.skip_to(place, reason)
                    messages.take(*held)
                early.drop(place)
        messages.skip_to(number, reason)
        self._known = max(self._known, messages.number - 1)
        self._missing.skip(messages.number)
        self._catch_up(now)
