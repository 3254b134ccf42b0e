"""One stream that is sent: numbered, kept for repairs, held back for slow receivers. Pure: time is passed in.

Messages wait in a queue until the window has place for them; a packet takes as many as fit, or a part of a large one.
What was sent is kept until everybody has it, and goes out again, byte for byte, when somebody lacks it. After the last
packet beats follow, ever more slowly, so that receivers notice when the last ones were lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...message import Address
from ...option_values.reliable import Reliable
from .acknowledgement_marks import Mark, Marks
from .closing_linger import ClosingLinger
from .congestion import Congestion
from .heartbeats import Beats
from .message_queue import MessageQueue
from .packet_codec import START, WHOLE_START, pack, pack_data
from .packets import HEADER_SIZE, Beat, Bye, Status
from .repairs import Repairs
from .send_window import HEADER_COST, SendWindow
from .sent_packets import SentPackets
from .slow_receivers import SlowReceivers
from .stream_receivers import Member, Members


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
        self.finished = False
        self.answers: list[tuple[bytes, Address]] = []
        self.members = Members()
        self.marks = Marks(self.members)
        self.beats = Beats()
        self._most_at_once = min(packet_size - HEADER_SIZE, options.largest)
        self._queue = MessageQueue(packet_size - HEADER_SIZE)
        self._sent = SentPackets()
        self._congestion = Congestion(packet_size, options.rate, now)
        self._repairs = Repairs(self._sent, self._congestion)
        self._window = SendWindow(
            options, packet_size, self.members, self._sent, self._repairs, self._congestion, self.beats, now
        )
        self._slow = SlowReceivers(self.members, options.patience, now)
        self._lingering = ClosingLinger(expects_somebody=destination is not None)
        self._catch_up_within = options.window // 2
        self._looked_at = now

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
    def hurries(self) -> bool:
        """Whether :meth:`timer` is to be kept to the millisecond: something waits to go out, or it ends."""
        return self._queue.waiting > 0 or bool(self._repairs) or self._lingering.begun

    @property
    def unacknowledged(self) -> int:
        """Packets that went out and that some receiver has not acknowledged; or that nobody did, if all left."""
        if len(self.members):
            return self.number - self.members.least
        return self.number - self.members.most_when_left if self._lingering.expects_somebody else 0

    @property
    def repeated(self) -> int:
        """Packets that were sent again."""
        return self._repairs.repeated

    def offer(self, messages: Sequence[bytes], *, all_of_them: bool = False) -> int:
        """Take messages for the next :meth:`packets`; returns how many of them there was place for."""
        return self._queue.put(messages, all_of_them=all_of_them)

    def mark(self) -> Mark:
        """Watch who acknowledges the message that was taken last; see :meth:`Marks.outcome`."""
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
        elif not self._lingering.begun:
            self._lingering.begin(now, expects_somebody=not alone or self.destination is not None)
            self.beats.hurry(now)

    def on_hello(self, end: int, source: Address, now: float) -> None:
        """Somebody is there: since when, and what it has heard, its first STATUS will tell."""
        self._window.free = 0
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
        self._window.free = 0
        member.address = source
        if status.highest > member.highest:
            self._measure(member, status, now)
        if status.number > member.number:
            self._slow.on_progress(now)
        if status.number:  # else it asks where the stream stands
            self.members.on_status(member, status, now)
        self._slow.judge(member, oldest, self.number - self._catch_up_within + 1)
        if status.missing:
            self._repairs.ask(status.number, status.missing, self.members.hold_off, now)
        if status.challenge or (status.number and member.number < oldest):
            self.answers.append((pack(self._beat(now, status.challenge)), source))

    def packets(self, now: float) -> list[bytes]:
        """What is to be sent now."""
        if self.finished:
            return []
        self._looked_at = now
        ready = self._repairs.take(now) if self._repairs else []
        if self._queue.waiting:
            if self._window.may_send(self.number, now):
                self.beats.on_packet(now)  # before the first one, that it is not alone if Ctrl-C comes behind it
                ready.append(self._next_packet(now))
                while self._queue.waiting and self._window.may_send(self.number, now):
                    ready.append(self._next_packet(now))
                self._queue.tidy()
            elif self._slow.leave_behind(self._window.full_since, now):
                return ready + self.packets(now)
        if self.beats.is_due(now):
            self._go_on_beating(now)
            ready.append(pack(self._beat(now, ask=not self.idle or self.beats.count < 2)))
        if self._lingering.begun and self._has_ended(now):
            self.finished = True
            ready += [pack(Bye(self.session, self.number - 1))] * 2
        return ready

    def packet_of(self, message: bytes, now: float) -> bytes | None:
        """The packet of a small message, if nothing else is to go out and nothing holds it back; else None."""
        window, beats, sent, number = self._window, self.beats, self._sent, self.number
        is_plain = window.free > 0 and not (self._queue.waiting or self._congestion.holds)
        if not (is_plain and len(message) <= self._most_at_once) and not self._may_go_at_once(message, now):
            return None
        packet = START.pack(WHOLE_START, self.session, number) + message
        size = len(packet)
        if beats.count:
            beats.on_packet(now)
        else:
            beats.packet_at = now
        # No call from here on, as in `_next_packet`.
        end = sent.end + size
        sent.packets[number] = packet, end, now
        sent.end = end
        window.free -= size + HEADER_COST
        self.number = number + 1
        return packet

    def timer(self) -> float:
        """When :meth:`packets` is to be asked again if nothing happens before; infinity for never."""
        if self.finished:
            return math.inf
        due, window = self.beats.at, self._window
        if self._queue.waiting:
            if window.full_since < math.inf:
                due = min(due, self._slow.due(window.full_since))
                if not len(self.members):
                    due = min(due, window.alone_at)
            if window.paced_until:
                due = min(due, window.paced_until)
        if self._repairs:
            due = min(due, self._repairs.at)
        if self._lingering.begun:
            due = min(due, self._lingering.next_look(self._looked_at))
        return due

    def _measure(self, member: Member, status: Status, now: float) -> None:
        sent = self._sent.get(status.highest)
        beat_may_have_told = self.beats.count and status.highest == self.number - 1 and status.number <= status.highest
        if sent is None or status.highest in self._sent.again_at or beat_may_have_told:
            return  # which of its copies was seen, or when it was sent, is not known
        seconds = now - sent.sent_at - status.ago
        if seconds >= 0:
            self._congestion.on_round_trip(status.end, seconds, member.on_round_trip(seconds, now), sent.end, now)

    def _may_go_at_once(self, message: bytes, now: float) -> bool:
        """Whether a message may go out in a packet of its own, now that this is to be looked at."""
        if self._queue.waiting or self._repairs or self._lingering.begun or len(message) > self._most_at_once:
            return False
        if not self._window.may_send(self.number, now):
            return False
        if self.number == 1:
            self._window.began_at = now
        if self._congestion.holds:
            self._congestion.on_sent(HEADER_SIZE + len(message), now)
        return True

    def _next_packet(self, now: float) -> bytes:
        """A packet of what waits longest, from now on one that has gone out."""
        number, queue, sent, window = self.number, self._queue, self._sent, self._window
        (flags, count, body), after = queue.next_body()
        packet = pack_data(self.session, number, flags, count, body)
        if number == 1:
            window.began_at = now
        if self.marks.waiting:
            self.marks.on_gone_out(queue.taken - after[1], number)
        size = len(packet)
        if self._congestion.holds:
            self._congestion.on_sent(size, now)
        # No call from here on, so that Ctrl-C, or a signal handler that raises, comes before all of it or after: a
        # number that is taken by no packet would be waited for, and a body that is taken from the queue be missing.
        end = sent.end + size
        sent.packets[number] = packet, end, now
        sent.end = end
        window.free -= size + HEADER_COST
        queue.at, queue.waiting, queue.size, queue.part_at = after
        self.number = number + 1
        return packet

    def _beat(self, now: float, answer: int = 0, *, ask: bool = False) -> Beat:
        round_trip = self.members.hold_off if len(self.members) <= 1 else self._congestion.round_trip
        age, oldest = now - self._window.began_at, self._sent.oldest
        return Beat(self.session, self.number - 1, oldest, len(self.members), round_trip, age, answer, ask)

    def _go_on_beating(self, now: float) -> None:
        self.members.forget_silent(now)
        if not self.beats.next(now, wanted=len(self.members) > 0 and not self.idle):
            while self._sent.oldest < self.number:  # nobody is there who lacks them
                self._sent.drop_oldest()

    def _has_ended(self, now: float) -> bool:
        floor = self.members.floor
        complete = not self._queue.waiting and (floor is None or floor == self.number)
        return self._lingering.is_over(now, complete=complete, known=floor is not None)
