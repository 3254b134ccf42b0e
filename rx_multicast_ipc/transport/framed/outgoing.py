"""One stream that is sent: numbered, kept for repairs, held back for slow receivers. Pure: time is passed in.

Messages wait in a queue until the window has place for them; a packet takes as many as fit, or a part of a large one.
What was sent is kept until everybody has it, and goes out again, byte for byte, when somebody lacks it. After the last
packet beats follow, ever more slowly, so that receivers notice when the last ones were lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ...message import Address
from ...option_values.reliable import Reliable
from .acknowledgement_marks import Mark, Marks
from .congestion import Congestion
from .heartbeats import Beats
from .message_queue import MessageQueue
from .packet_codec import START, WHOLE_START, pack, pack_data
from .packets import HEADER_SIZE, WHOLE, Beat, Bye, Status
from .repairs import Repairs
from .sent_packets import SentPackets
from .stream_receivers import Member, Members

_NOBODY_WAIT: Final = 0.2
"""Seconds that a burst waits for the first receiver to make itself known."""

_HEADER_COST: Final = 768
"""Bytes of receive buffer that Linux charges for a packet beside its payload."""

_ROOM_SHARE: Final = 0.7
"""The part of a receive buffer that one sender fills."""

_LINGER: Final = 1.0
"""Seconds that an ending stream waits for acknowledgements."""

_LINGER_LEAST: Final = 0.03
_LINGER_NOBODY: Final = 0.3
"""Seconds that it waits for receivers that it does not know, where it knows others, and where it knows none: six beats
more, so that one of them and its answer get through."""


class Outgoing:
    """One stream that is sent, to the group or to one receiver.

    After any call, :meth:`packets` gives what is to be sent to the stream's destination, ``answers`` what is to be sent
    to single receivers, and :meth:`timer` when to ask again.

    Args:
        session: random, not 0.
        options: window, patience, rate.
        packet_size: bytes of the largest packet.
        now: seconds.
        destination: the one receiver, for whom silence is no sign that nobody is there; None for the group.

    Attributes:
        number: the next packet's.
        left_behind: how often a receiver was no longer waited for.
        finished: whether it has ended.
        answers: packets for single receivers; whoever sends them empties the list.
        members: its receivers.
        marks: messages whose acknowledgement somebody waits for.
        beats: when it says where it stands.
    """

    def __init__(
        self, session: int, options: Reliable, packet_size: int, now: float, destination: Address | None = None
    ) -> None:
        self.session = session
        self.destination = destination
        self.number = 1
        self.left_behind = 0
        self.finished = False
        self.answers: list[tuple[bytes, Address]] = []
        self.members = Members()
        self.marks = Marks(self.members)
        self._options = options
        self._window, self._keep = options.window, options.keep
        self._congestion = Congestion(packet_size, options.rate, now)
        self._body_size = packet_size - HEADER_SIZE
        self._queue = MessageQueue(self._body_size)
        self._allowance = self._asked_at = 0
        self._sent = SentPackets()
        self._repairs = Repairs(self._sent, self._congestion)
        self.beats = Beats()
        self._began_at = self._progress_at = self._looked_at = now
        self._blocked = False
        self._paced_until = 0.0
        self._ending_at = math.inf
        self._linger_nobody = _LINGER_NOBODY
        self._expects_somebody = destination is not None

    @property
    def room(self) -> bool:
        """Whether it takes another message."""
        return self._queue.has_room

    @property
    def drained(self) -> bool:
        """Whether everything that it took has gone out."""
        return not self._queue.waiting

    @property
    def idle(self) -> bool:
        """Whether nothing waits, to go out or to be acknowledged."""
        return not self._queue.waiting and not self.unacknowledged

    @property
    def unacknowledged(self) -> int:
        """Packets that went out and that some receiver has not acknowledged; or that nobody did, if all left."""
        if len(self.members):
            return self.number - self.members.least
        return self.number - self.members.most_when_left if self._expects_somebody else 0

    @property
    def repeated(self) -> int:
        """Packets that were sent again."""
        return self._repairs.repeated

    def offer(self, messages: Sequence[bytes], *, all_of_them: bool = False) -> int:
        """Take messages for the next :meth:`packets`; returns how many of them there was place for."""
        return self._queue.put(messages, all_of_them=all_of_them)

    def mark(self) -> Mark:
        """Watch who acknowledges the message that was taken last; see :meth:`Marks.lacking`."""
        queue = self._queue
        return self.marks.set(queue.taken, self.number - 1 if queue.gone_out == queue.taken else 0)

    def end(self, now: float, *, alone: bool = False) -> None:
        """Send what waits, wait for acknowledgements, say goodbye: when ``finished``, that is done.

        Args:
            now: seconds.
            alone: whether it is known that nobody is there.
        """
        if self.number == 1 and not self._queue.waiting:
            self.finished = True
        elif self._ending_at == math.inf:
            self._ending_at = now
            self._expects_somebody = not alone or self.destination is not None
            self._linger_nobody = _LINGER_NOBODY if self._expects_somebody else _LINGER_LEAST
            self.beats.hurry(now)

    def on_hello(self, end: int, source: Address, now: float) -> None:
        """Somebody is there: since when, and what it has heard, its first STATUS will tell."""
        self._allowance = 0
        member = self.members.get(end)
        if member is None:
            self.members.add(end, source, self._sent.oldest, now)
        else:
            member.heard_at = now

    def on_leave(self, end: int) -> None:
        self.members.remove(end)

    def on_status(self, source: Address, status: Status, now: float) -> None:
        """A receiver says what it has and what it lacks."""
        if status.number > self.number:
            return  # forged, or meant for another
        if status.highest >= self.number:
            status = status._replace(highest=self.number - 1)
        oldest = self._sent.oldest
        member = self.members.get(status.end) or self.members.add(status.end, source, status.number or oldest, now)
        if member is None:
            return
        self._allowance = 0
        member.address = source
        if status.highest > member.highest:
            self._measure(member, status, now)
        if status.number > member.number:
            self._progress_at = now
        if status.number:  # else it asks where the stream stands
            self.members.on_status(member, status, now)
        behind = member.number < oldest
        if behind or (member.behind and status.highest + self._options.window // 2 > self.number):
            self.members.wait_for(member, not behind)
        if status.missing:
            self._repairs.ask(status.number, status.missing, self.members.hold_off, now)
        if status.challenge or (behind and status.number):
            self.answers.append((pack(self._beat(now, status.challenge)), source))

    def packets(self, now: float) -> list[bytes]:
        """What is to be sent now."""
        if self.finished:
            return []
        self._looked_at = now
        ready = self._repairs.take(now) if self._repairs else []
        if self._queue.waiting:
            before = self.number
            while self._queue.waiting and self._may_send(now):
                ready.append(self._packet(*self._queue.next_body(), now))
            if self.number > before:
                self._progress_at = now
                self.beats.on_packet(now)
            elif self._is_out_of_patience(now) and self._leave_behind(now):
                return ready + self.packets(now)
        if now >= self.beats.at:
            self._go_on_beating(now)
            ready.append(pack(self._beat(now, ask=not self.idle or self.beats.count < 2)))
        if self._ending_at < math.inf and self._has_ended(now):
            self.finished = True
            ready += [pack(Bye(self.session, self.number - 1))] * 2
        return ready

    def packet_of(self, message: bytes, now: float) -> bytes | None:
        """The packet of a small message, if nothing else is to go out and nothing holds it back; else None."""
        queue, sent, number = self._queue, self._sent, self.number
        if queue.waiting or self._repairs.numbers or len(message) > self._body_size or self._ending_at < math.inf:
            return None
        if (
            self._allowance < self._body_size + _HEADER_COST
            or number - sent.oldest >= self._window
            or sent.size >= self._keep
            or self._congestion.holds
            or number == 1
        ):
            if not self._may_send(now):
                return None
            packet = self._packet(WHOLE, 1, message, now)
        else:  # as it is most of the time: the same, in as few calls as can be
            self.number = number + 1
            packet = START.pack(WHOLE_START, self.session, number) + message
            sent.add(number, packet, now)
            self._allowance -= len(packet) + _HEADER_COST
            self._blocked = False
        queue.taken += 1
        queue.gone_out += 1
        self._progress_at = now
        self.beats.on_packet(now)
        return packet

    def timer(self) -> float:
        """When :meth:`packets` is to be asked again if nothing happens before; infinity for never."""
        if self.finished:
            return math.inf
        due = self.beats.at
        if self._queue.waiting:
            if self._blocked:
                due = min(due, self._progress_at + self._options.patience)
                if not len(self.members):
                    due = min(due, self._began_at + _NOBODY_WAIT)
            if self._paced_until:
                due = min(due, self._paced_until)
        if self._repairs:
            due = min(due, self._repairs.at)
        if self._ending_at < math.inf:
            ends = [self._ending_at + pause for pause in (_LINGER_LEAST, self._linger_nobody, _LINGER)]
            due = min([due, *[end for end in ends if end > self._looked_at]])
        return due

    def _measure(self, member: Member, status: Status, now: float) -> None:
        sent = self._sent.get(status.highest)
        if (
            sent is None
            or status.highest in self._sent.again_at
            or (self.beats.count and status.highest == self.number - 1)
        ):
            return  # which of its copies, or of the beats that told of it, was seen is not known
        seconds = now - sent.sent_at - status.ago
        if seconds >= 0:
            self._congestion.on_round_trip(status.end, seconds, member.on_round_trip(seconds, now), sent.end, now)

    def _may_send(self, now: float) -> bool:
        """Whether the window, the receivers and the pace have place for another packet."""
        self._paced_until, self._blocked = 0.0, True
        if self._allowance < self._body_size + _HEADER_COST and not self._look_for_place(now):
            return False
        if (
            self.number - self._sent.oldest >= self._window or self._sent.size >= self._keep
        ) and not self._make_place():
            if self._asked_at != self.number:
                self._asked_at = self.number
                self.beats.at = min(self.beats.at, now)
            return False
        wait = self._congestion.wait(now) if self._congestion.holds else 0.0
        self._blocked = False
        if wait:
            self._paced_until = now + wait
        return not wait

    def _look_for_place(self, now: float) -> bool:
        """Whether the window and the receivers have place; for how much more before the next look, ``_allowance``."""
        members, sent, window = self.members, self._sent, self._congestion.window
        if members.floor is None:
            self._allowance = 0
            return sent.end < window or now - self._began_at >= _NOBODY_WAIT
        behind = cost = 0
        if members.seen < self.number - 1:
            behind = sent.bytes_after(members.seen)
            cost = behind + (self.number - 1 - members.seen) * _HEADER_COST
        place = window - behind - self._repairs.on_the_way(now) if behind else window
        if place <= 0:
            self._congestion.on_limited()
            return False
        if members.room:
            place = min(place, int(members.room * _ROOM_SHARE) - cost)
        self._allowance = place
        return place > 0

    def _make_place(self) -> bool:
        """Let go of what everybody has, where so much is kept; whether another packet can be kept."""
        sent = self._sent
        while self.number - sent.oldest >= self._window or sent.size >= self._keep:
            floor = self.members.floor
            if sent.oldest >= (self.number if floor is None else floor):
                return False
            sent.drop_oldest()
        return True

    def _packet(self, flags: int, count: int, body: bytes, now: float) -> bytes:
        number = self.number
        self.number = number + 1
        packet = pack_data(self.session, number, flags, count, body)
        if number == 1:
            self._began_at = now
        self._sent.add(number, packet, now)
        if self.marks.waiting:
            self.marks.on_gone_out(self._queue.gone_out, number)
        size = len(packet)
        if self._congestion.holds:
            self._congestion.on_sent(size, now)
        self._allowance -= size + _HEADER_COST
        return packet

    def _is_out_of_patience(self, now: float) -> bool:
        return self._blocked and now - self._progress_at >= self._options.patience

    def _leave_behind(self, now: float) -> int:
        """Whoever holds the stream up is waited for no more; returns how many."""
        floor = self.members.floor
        left = 0 if floor is None else self.members.leave_behind(floor, self.members.seen)
        self.left_behind += left
        self._progress_at = now
        return left

    def _beat(self, now: float, answer: int = 0, *, ask: bool = False) -> Beat:
        round_trip = self.members.hold_off if len(self.members) <= 1 else self._congestion.round_trip
        age, oldest = now - self._began_at, self._sent.oldest
        return Beat(self.session, self.number - 1, oldest, len(self.members), round_trip, age, answer, ask)

    def _go_on_beating(self, now: float) -> None:
        self.members.forget_silent(now)
        if not self.beats.next(now, wanted=len(self.members) > 0 and not self.idle):
            while self._sent.oldest < self.number:  # nobody is there who lacks them
                self._sent.drop_oldest()

    def _has_ended(self, now: float) -> bool:
        lingered = now - self._ending_at
        if lingered >= _LINGER:
            return True
        if self._queue.waiting or lingered < _LINGER_LEAST:
            return False
        return self.members.floor == self.number or (self.members.floor is None and lingered >= self._linger_nobody)
