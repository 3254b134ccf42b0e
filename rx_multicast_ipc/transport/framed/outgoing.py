"""One stream that is sent: numbered, kept for repairs, held back for slow receivers. Pure: time is passed in.

Messages wait in a queue until the window has place for them; a packet takes as many as fit, or a part of a large one.
What was sent is kept until everybody has it, and goes out again, byte for byte, when somebody lacks it. After the last
packet beats follow, ever more slowly, so that receivers notice when the last ones were lost.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

from ...message import Address
from ...reliable import Reliable
from .congestion import Congestion
from .members import Member, Members
from .message_queue import MessageQueue
from .packet_codec import pack
from .packets import HEADER_SIZE, Beat, Bye, Data, Status

_FIRST_BEAT: Final = 0.004
_SLOWEST_BEAT: Final = 1.0
"""Seconds between beats: each time twice as many."""

_LAST_BEATS: Final = 16
"""Beats after the last packet, once everybody known has everything: ten seconds, for those who are not known."""

_NOBODY_WAIT: Final = 0.2
"""Seconds that a burst waits for the first receiver to make itself known."""

_LEAST_HOLD_OFF: Final = 0.001
"""Seconds between two repairs of one packet, at least."""

_HEADER_COST: Final = 768
"""Bytes of receive buffer that Linux charges for a packet beside its payload."""

_ROOM_SHARE: Final = 0.7
"""The part of a receive buffer that one sender fills."""

_LINGER: Final = 1.0
"""Seconds that an ending stream waits for acknowledgements."""

_LINGER_LEAST: Final = 0.03
_LINGER_NOBODY: Final = 0.15
"""Seconds that it waits for receivers that it does not know, where it knows others, and where it knows none."""


class _Kept:
    """A packet that was sent.

    Attributes:
        packet: its bytes.
        end: bytes of the stream up to its end.
        sent_at: when it went out first.
        again_at: when it went out last.
        queued: whether it is to be repeated.
    """

    __slots__ = ("again_at", "end", "packet", "queued", "sent_at")

    def __init__(self, packet: bytes, end: int, now: float) -> None:
        self.packet = packet
        self.end = end
        self.sent_at = self.again_at = now
        self.queued = False


class Mark:
    """A message whose acknowledgement somebody waits for.

    Attributes:
        message: its number among those of the stream.
        number: of the packet that ends it; 0 as long as it waits to go out.
        expected: who was there when it was taken, and where.
        acknowledged: the ends of those of them who have it.
    """

    __slots__ = ("acknowledged", "expected", "message", "number")

    def __init__(self, message: int, expected: dict[int, Address]) -> None:
        self.message = message
        self.number = 0
        self.expected = expected
        self.acknowledged: set[int] = set()


class Outgoing:
    """One stream that is sent, to the group or to one receiver.

    After any call, :meth:`packets` gives what is to be sent to the stream's destination, ``answers`` what is to be sent
    to single receivers, and :meth:`timer` when to ask again.

    Args:
        session: random, not 0.
        options: window, patience, rate.
        packet_size: bytes of the largest packet.
        now: seconds.
        direct: whether it is for one receiver, so that silence is no sign that nobody is there.

    Attributes:
        number: the next packet's.
        repeated: packets that were sent again.
        left_behind: how often a receiver was no longer waited for.
        finished: whether it has ended.
        answers: packets for single receivers; whoever sends them empties the list.
    """

    def __init__(self, session: int, options: Reliable, packet_size: int, now: float, *, direct: bool = False) -> None:
        self.session = session
        self.number = 1
        self.repeated = self.left_behind = 0
        self.finished = False
        self.answers: list[tuple[bytes, Address]] = []
        self.members = Members()
        self._options = options
        self._direct = direct
        self._congestion = Congestion(packet_size, options.rate, now)
        self._queue = MessageQueue(packet_size - HEADER_SIZE)
        self._marks: deque[Mark] = deque()
        self._kept: dict[int, _Kept] = {}
        self._oldest = 1
        self._end = 0
        self._kept_bytes = 0
        self._repairs: deque[int] = deque()
        self._repair_credit = 0
        self._credit_at = -math.inf
        self._began_at = self._progress_at = self._looked_at = now
        self._beat_at = math.inf
        self._beat_pause = _FIRST_BEAT
        self._beats = 0
        self._blocked = False
        self._paced_until = self._repairs_at = 0.0
        self._ending_at = math.inf
        self._linger_nobody = _LINGER_NOBODY

    @property
    def room(self) -> bool:
        """Whether it takes another message."""
        return self._queue.has_room

    @property
    def drained(self) -> bool:
        """Whether everything that it took has gone out."""
        return not self._queue

    @property
    def idle(self) -> bool:
        """Whether nothing waits, to go out or to be acknowledged."""
        return not self._queue and not self.unacknowledged

    @property
    def unacknowledged(self) -> int:
        """Packets that went out and that some receiver has not acknowledged."""
        if not len(self.members):
            return self.number - 1 if self._direct else 0
        return self.number - self.members.least

    def offer(self, messages: Sequence[bytes], *, all_of_them: bool = False) -> int:
        """Take messages for the next :meth:`packets`; returns how many of them there was place for."""
        return self._queue.put(messages, all_of_them=all_of_them)

    def mark(self) -> Mark:
        """Watch who acknowledges the message that was taken last; see :meth:`lacking`."""
        mark = Mark(self._queue.taken, self.members.addresses())
        if self._queue.gone_out == self._queue.taken:
            mark.number = self.number - 1
        else:
            self._marks.append(mark)
        return mark

    def lacking(self, mark: Mark) -> set[int]:
        """Who of those that are waited for has yet to acknowledge it."""
        lacking: set[int] = set()
        for end in mark.expected.keys() - mark.acknowledged:
            member = self.members.get(end)
            if member is None or member.behind:
                continue  # not waited for
            if mark.number and member.confirmed and member.number > mark.number:
                mark.acknowledged.add(end)
            else:
                lacking.add(end)
        return lacking

    def end(self, now: float, *, alone: bool = False) -> None:
        """Send what waits, wait for acknowledgements, say goodbye: when ``finished``, that is done.

        Args:
            now: seconds.
            alone: whether it is known that nobody is there.
        """
        if self.number == 1 and not self._queue:
            self.finished = True
        elif self._ending_at == math.inf:
            self._ending_at = now
            self._linger_nobody = _LINGER_LEAST if alone and not self._direct else _LINGER_NOBODY
            self._beat_soon(now)

    def on_hello(self, end: int, source: Address, now: float) -> None:
        """Somebody is there: since when, and what it has heard, its first STATUS will tell."""
        member = self.members.get(end)
        if member is None:
            self.members.add(end, source, self._oldest, now)
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
        end = status.end
        member = self.members.get(end) or self.members.add(end, source, status.number or self._oldest, now)
        if member is None:
            return
        member.address = source
        if status.highest > member.highest:
            self._measure(member, status, now)
        if status.number > member.number:
            self._progress_at = now
        if status.number:  # else it asks where the stream stands
            self.members.on_status(member, status, now)
        behind = member.number < self._oldest
        if behind or (member.behind and status.highest + self._options.window // 2 > self.number):
            self.members.wait_for(member, not behind)
        if status.missing:
            self._repeat(status, now)
        if status.challenge or (behind and status.number):
            self.answers.append((pack(self._beat(now, status.challenge)), source))

    def packets(self, now: float) -> list[bytes]:
        """What is to be sent now."""
        self._looked_at = now
        ready = self._repaired(now) if self._repairs else []
        before = self.number
        while self._queue and self._may_send(now):
            ready.append(self._next_packet(now))
        if self.number > before:
            self._progress_at = now
            self._beats = 0
            self._beat_pause = _FIRST_BEAT
            self._beat_at = now + _FIRST_BEAT
        elif self._is_out_of_patience(now) and self._leave_behind(now):
            return ready + self.packets(now)
        if now >= self._beat_at:
            self._set_next_beat(now)
            ready.append(pack(self._beat(now, ask=not self.idle or self._beats < 2)))
        if self._ending_at < math.inf and self._has_ended(now):
            self.finished = True
            ready += [pack(Bye(self.session, self.number - 1))] * 2
        return ready

    def timer(self) -> float:
        """When :meth:`packets` is to be asked again if nothing happens before; infinity for never."""
        if self.finished:
            return math.inf
        due = self._beat_at
        if self._queue and self._blocked:
            due = min(due, self._progress_at + self._options.patience)
            if not len(self.members):
                due = min(due, self._began_at + _NOBODY_WAIT)
        if self._paced_until and self._queue:
            due = min(due, self._paced_until)
        if self._repairs:
            due = min(due, self._repairs_at)
        if self._ending_at < math.inf:
            ends = [self._ending_at + pause for pause in (_LINGER_LEAST, self._linger_nobody, _LINGER)]
            due = min([due, *[end for end in ends if end > self._looked_at]])
        return due

    def _measure(self, member: Member, status: Status, now: float) -> None:
        kept = self._kept.get(status.highest)
        if kept is None or kept.again_at != kept.sent_at or (self._beats and status.highest == self.number - 1):
            return  # which of its copies, or of the beats that told of it, was seen is not known
        seconds = now - kept.sent_at - status.ago
        if seconds >= 0:
            self._congestion.on_round_trip(status.end, seconds, member.on_round_trip(seconds, now), now)

    def _repeat(self, status: Status, now: float) -> None:
        """Queue what is missing, unless a repair may be on its way to whoever asks."""
        hold_off = max(self.members.hold_off, _LEAST_HOLD_OFF)
        missing, number = status.missing, status.number
        while missing:
            skipped = (missing & -missing).bit_length() - 1
            number += skipped
            kept = self._kept.get(number)
            if (
                kept is not None
                and not kept.queued
                and (kept.again_at == kept.sent_at or now - kept.again_at >= hold_off)
            ):
                kept.queued = True
                self._congestion.on_lost(len(kept.packet))
                self._repairs.append(number)
            missing >>= skipped + 1
            number += 1

    def _repaired(self, now: float) -> list[bytes]:
        """Repairs that may go out now: a window of them a round trip."""
        if now - self._credit_at >= max(self._congestion.round_trip, _LEAST_HOLD_OFF):
            self._credit_at, self._repair_credit = now, self._congestion.window
        ready: list[bytes] = []
        while self._repairs:
            wait = self._congestion.wait(now)
            if self._repair_credit <= 0:
                wait = max(wait, self._credit_at + max(self._congestion.round_trip, _LEAST_HOLD_OFF) - now, 1e-6)
            if wait:
                self._repairs_at = now + wait
                break
            kept = self._kept.get(self._repairs.popleft())
            if kept is None:
                continue  # too late
            kept.queued = False
            kept.again_at = now
            self.repeated += 1
            self._repair_credit -= len(kept.packet)
            self._congestion.on_sent(len(kept.packet), now)
            ready.append(kept.packet)
        return ready

    def _repairs_on_the_way(self, now: float) -> int:
        """Bytes of repairs of the last round trip: they are in the queues as well."""
        if now - self._credit_at >= 2 * self._congestion.round_trip:
            return 0
        return max(0, self._congestion.window - self._repair_credit)

    def _may_send(self, now: float) -> bool:
        """Whether the window, the receivers and the pace have place for another packet."""
        self._paced_until, self._blocked = 0.0, True
        members, options = self.members, self._options
        floor = members.floor
        if floor is None:
            floor = self.number
            if self._end >= self._congestion.window and now - self._began_at < _NOBODY_WAIT:
                return False
        elif members.seen < self.number - 1:
            seen = self._kept.get(members.seen)
            start = self._kept.get(self._oldest)
            behind = self._end - (seen.end if seen is not None else start.end if start is not None else self._end)
            if behind + self._repairs_on_the_way(now) >= self._congestion.window:
                self._congestion.on_limited()
                return False
            cost = behind + (self.number - 1 - members.seen) * _HEADER_COST
            if members.room and cost >= members.room * _ROOM_SHARE:
                return False
        while len(self._kept) >= options.window or self._kept_bytes >= options.keep:
            if self._oldest >= floor:
                return False
            self._drop_oldest()
        wait = self._congestion.wait(now)
        if wait:
            self._paced_until, self._blocked = now + wait, False
            return False
        self._blocked = False
        return True

    def _next_packet(self, now: float) -> bytes:
        flags, count, body = self._queue.next_body()
        number, self.number = self.number, self.number + 1
        packet = pack(Data(self.session, number, flags, count, body))
        if number == 1:
            self._began_at = now
        self._end += len(packet)
        self._kept_bytes += len(packet)
        self._kept[number] = _Kept(packet, self._end, now)
        while self._marks and self._marks[0].message <= self._queue.gone_out:
            self._marks.popleft().number = number
        self._congestion.on_sent(len(packet), now)
        return packet

    def _drop_oldest(self) -> None:
        self._kept_bytes -= len(self._kept.pop(self._oldest).packet)
        self._oldest += 1

    def _is_out_of_patience(self, now: float) -> bool:
        return self._blocked and bool(self._queue) and now - self._progress_at >= self._options.patience

    def _leave_behind(self, now: float) -> int:
        """Whoever holds the stream up is waited for no more; returns how many."""
        floor = self.members.floor
        left = 0 if floor is None else self.members.leave_behind(floor, self.members.seen)
        self.left_behind += left
        self._progress_at = now
        return left

    def _beat(self, now: float, answer: int = 0, *, ask: bool = False) -> Beat:
        round_trip = self.members.hold_off if len(self.members) <= 1 else self._congestion.round_trip
        age = now - self._began_at
        return Beat(self.session, self.number - 1, self._oldest, len(self.members), round_trip, age, answer, ask)

    def _beat_soon(self, now: float) -> None:
        self._beats = 0
        self._beat_pause = _FIRST_BEAT
        self._beat_at = min(self._beat_at, now + _FIRST_BEAT)

    def _set_next_beat(self, now: float) -> None:
        self._beats += 1
        self._beat_pause = min(2 * self._beat_pause, _SLOWEST_BEAT)
        self.members.forget_silent(now)
        if self._beats >= _LAST_BEATS and (self.idle or not len(self.members)):
            self._beat_at = math.inf
            while self._oldest < self.number:  # nobody is there who lacks them
                self._drop_oldest()
        else:
            self._beat_at = now + self._beat_pause

    def _has_ended(self, now: float) -> bool:
        lingered = now - self._ending_at
        if lingered >= _LINGER:
            return True
        if self._queue or lingered < _LINGER_LEAST:
            return False
        return self.members.floor == self.number or (self.members.floor is None and lingered >= self._linger_nobody)
