"""One end of a reliable channel, whole but for sockets and clocks. Pure: datagrams and the time in, datagrams out.

It joins the stream to the group, a stream to each receiver that was sent to alone, the streams that are heard, and who
is there. After any call, :meth:`Endpoint.datagrams` gives what is to be sent, ``events`` what is to be delivered, and
:meth:`Endpoint.timer` when to call :meth:`Endpoint.datagrams` again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, Final, NamedTuple

from ...message import Address
from ...reliable import Acknowledged, Reliable
from .members import MOST_MEMBERS
from .outgoing import Mark, Outgoing
from .packet_codec import pack, parse
from .packets import Beat, Bye, Data, Datagram, MalformedPacket, Packet, Status
from .reassembly import Delivery, Hole
from .senders import Key, Senders, Stream

_HELLOS: Final = (0.0, 0.02, 0.06, 0.15, 0.4, 1.0)
"""Seconds after which an end says that it is there: six times, for any may be lost."""

_ANSWERED: Final = 0.2
"""Seconds after which somebody who is there would have answered."""

_REPLY_SPREAD: Final = 0.002
"""Seconds for each that is there, within which all answer a newcomer."""

_MOST_DIRECT: Final = 256
"""Receivers that are sent to alone and remembered."""


class Event(NamedTuple):
    """What is to be delivered: messages, or that something will not come.

    Attributes:
        sender: where it came from.
        what: the messages or the hole.
    """

    sender: Address
    what: Delivery | Hole


class Counts(NamedTuple):
    """What was counted so far.

    Attributes:
        repaired: packets that came because this end asked for them again.
        asked: requests for repairs that it sent.
        repeated: packets that it sent again.
        gaps: holes that it told of.
        foreign: datagrams that were no packets of a reliable channel, or of more senders than it hears.
        unacknowledged: packets that it sent, and that somebody had not acknowledged when it ended.
    """

    repaired: int = 0
    asked: int = 0
    repeated: int = 0
    gaps: int = 0
    foreign: int = 0
    unacknowledged: int = 0


class Endpoint:
    """One end of a reliable channel.

    Args:
        options: of the channel.
        packet_size: bytes of the largest packet that it sends.
        room: bytes of receive buffer.
        random: for sessions, challenges and waits: not to be guessed by others.
        now: seconds.

    Attributes:
        events: what is to be delivered, in order; whoever takes them empties the list.
    """

    def __init__(self, options: Reliable, packet_size: int, room: int, random: Random, now: float) -> None:
        self.events: list[Event] = []
        self._options = options
        self._packet_size = packet_size
        self._random = random
        self._to_group = self._new_stream(now)
        self._to_one: dict[Address, Outgoing] = {}
        self._outgoing = {self._to_group.session: self._to_group}
        self._senders = Senders(options, room, random, now)
        self._end = random.getrandbits(32) or 1
        self._peers: dict[int, Address] = {}
        self._announcements: list[tuple[float, int, Datagram]] = []  # a heap
        self._announced = count()
        self._opened_at = now
        self._ending = False
        self._gaps = self._foreign = self._repeated = self._unacknowledged = 0

    @property
    def counts(self) -> Counts:
        outgoing = self._outgoing.values()
        return Counts(
            repaired=self._senders.repaired,
            asked=self._senders.asked,
            repeated=self._repeated + sum(stream.repeated for stream in outgoing),
            gaps=self._gaps,
            foreign=self._foreign + self._senders.refused,
            unacknowledged=self._unacknowledged + sum(stream.unacknowledged for stream in outgoing if stream.finished),
        )

    @property
    def buffered(self) -> int:
        """Bytes that wait for what is missing."""
        return self._senders.buffered

    @property
    def streams(self) -> int:
        """Streams that it hears."""
        return len(self._senders)

    @property
    def peers(self) -> frozenset[Address]:
        """Who else was heard to be there."""
        return frozenset(self._peers.values())

    def announce(self, now: float) -> None:
        """Say that this end is there, so that senders wait for it."""
        hello = pack(Status(0, hello=True, end=self._end))
        for pause in _HELLOS:
            self._announce(now + pause, (hello, None))

    def has_room(self, destination: Address | None = None) -> bool:
        """Whether another message to there is taken."""
        stream = self._to_group if destination is None else self._to_one.get(destination)
        return stream is None or stream.room

    @property
    def congested(self) -> bool:
        """Whether something waits that leaves no room for more."""
        return not all(stream.room for stream in self._outgoing.values())

    def send(
        self, messages: Sequence[bytes], destination: Address | None, now: float, *, all_of_them: bool = False
    ) -> int:
        """Take messages to be sent; returns how many there was room for, unless it is to take ``all_of_them``."""
        stream = self._to_group
        if destination is not None:
            stream = self._to_one.get(destination) or self._open_stream_to(destination, now)
        return stream.offer(messages, all_of_them=all_of_them)

    def mark(self) -> Mark:
        """Watch who acknowledges the message to the group that was taken last."""
        return self._to_group.mark()

    def acknowledged(self, mark: Mark, now: float) -> Acknowledged | None:
        """Who has the message, and who went without it; None as long as somebody is waited for."""
        if now < self.settled_at:  # who is there may not have answered yet
            mark.expected |= self._to_group.members.addresses()
            return None
        if not mark.number or self._to_group.lacking(mark):
            return None
        missing = mark.expected.keys() - mark.acknowledged
        return Acknowledged(_addresses(mark, mark.acknowledged), _addresses(mark, missing))

    def lacking(self, mark: Mark) -> list[Address]:
        """Who has yet to acknowledge the message."""
        return [*_addresses(mark, self._to_group.lacking(mark))]

    @property
    def settled_at(self) -> float:
        """From when on it knows who is there: they had time to answer."""
        return self._opened_at + _ANSWERED

    @property
    def drained(self) -> bool:
        """Whether everything that was taken has gone out."""
        return all(stream.drained for stream in self._outgoing.values())

    def receive(
        self, datagram: bytes, source: Address, direct: bool, origin: Any, now: float, sender: Hashable = None
    ) -> None:
        """Take one datagram.

        Args:
            datagram: its bytes.
            source: where it came from, and where answers go.
            direct: whether it was sent to this end alone.
            origin: what its deliveries are to be marked with.
            now: seconds.
            sender: what tells this sender from others, where that is not ``source``.
        """
        try:
            packet = parse(datagram)
        except MalformedPacket:
            self._foreign += 1
            return
        if isinstance(packet, Status):
            self._on_status(packet, source, direct, now)
        elif self._ending:
            pass  # who leaves hears nothing more, and nobody waits for it
        elif packet.session not in self._outgoing:
            self._on_stream(packet, sender or source, source, direct, origin, now)

    def end(self, now: float) -> None:
        """Send what waits, wait for acknowledgements for a second at most, say goodbye; then ``ended``."""
        self._ending = True
        self._announcements.clear()
        for _ in range(2):
            self._announce(now, (pack(Status(0, leave=True, end=self._end)), None))
        alone = not self._peers and now - self._opened_at >= _ANSWERED
        for stream in self._outgoing.values():
            stream.end(now, alone=alone)

    @property
    def ended(self) -> bool:
        """Whether every stream has ended."""
        return all(stream.finished for stream in self._outgoing.values())

    def datagrams(self, now: float) -> list[Datagram]:
        """What is to be sent now."""
        ready: list[Datagram] = []
        for stream in () if self._ending else self._senders.streams():
            incoming = stream.incoming
            ready += [(pack(status._replace(end=self._end)), stream.reply_to) for status in incoming.statuses(now)]
            if incoming.events:
                self._take_events(stream)
        while self._announcements and self._announcements[0][0] <= now:
            ready.append(heappop(self._announcements)[2])
        ready += [(packet, None) for packet in self._to_group.packets(now)]
        self._take_answers(self._to_group, ready)
        for destination, stream in self._to_one.items():
            ready += [(packet, destination) for packet in stream.packets(now)]
            self._take_answers(stream, ready)
        return ready

    def timer(self) -> float:
        """When :meth:`datagrams` is to be called again if nothing happens before; infinity for never."""
        due = self._to_group.timer()
        if not self._ending:
            due = min(due, self._senders.timer())
        for stream in self._to_one.values():
            due = min(due, stream.timer())
        return min(due, self._announcements[0][0]) if self._announcements else due

    def _new_stream(self, now: float, *, direct: bool = False) -> Outgoing:
        session = self._random.getrandbits(32) or 1
        return Outgoing(session, self._options, self._packet_size, now, direct=direct)

    def _open_stream_to(self, destination: Address, now: float) -> Outgoing:
        if len(self._to_one) >= _MOST_DIRECT:
            oldest = next((to for to, stream in self._to_one.items() if stream.idle), next(iter(self._to_one)))
            stream = self._to_one.pop(oldest)
            del self._outgoing[stream.session]
            self._repeated += stream.repeated
            self._unacknowledged += stream.unacknowledged
        stream = self._to_one[destination] = self._new_stream(now, direct=True)
        self._outgoing[stream.session] = stream
        return stream

    def _on_status(self, status: Status, source: Address, direct: bool, now: float) -> None:
        if status.session == 0:
            self._on_announcement(status, source, direct, now)
            return
        stream = self._outgoing.get(status.session)
        if stream is not None and direct:
            stream.on_status(source, status, now)

    def _on_announcement(self, status: Status, source: Address, direct: bool, now: float) -> None:
        if status.leave:
            self._peers.pop(status.end, None)
            self._to_group.on_leave(status.end)
            for stream in self._to_one.values():
                stream.on_leave(status.end)
            return
        if self._ending:
            return
        self._to_group.on_hello(status.end, source, now)
        if status.end not in self._peers and len(self._peers) < MOST_MEMBERS:
            self._peers[status.end] = source
            if not direct:
                wait = self._random.random() * _REPLY_SPREAD * len(self._peers)
                self._announce(now + wait, (pack(Status(0, hello=True, end=self._end)), source))

    def _announce(self, at: float, datagram: Datagram) -> None:
        heappush(self._announcements, (at, next(self._announced), datagram))

    def _on_stream(
        self, packet: Packet, sender: Hashable, source: Address, direct: bool, origin: Any, now: float
    ) -> None:
        senders = self._senders
        is_data = isinstance(packet, Data)
        key = Key(sender, packet.session, direct)
        stream = senders.get(key)
        if stream is None and direct and not is_data:  # an answer to a challenge comes to this end alone
            stream = senders.get(Key(sender, packet.session, False))
        if stream is None:
            if isinstance(packet, Bye):
                return
            stream = senders.open(key, source, packet.number if is_data else 0, now)
            if stream is None:
                return
            self._take_closed()
        incoming = stream.incoming
        if isinstance(packet, Data):
            incoming.on_data(packet, origin, now)
        elif isinstance(packet, Beat):
            incoming.on_beat(packet, now)
        elif isinstance(packet, Bye):
            incoming.on_bye(packet.number, now)
        if incoming.events:
            self._take_events(stream)
        if incoming.buffered:
            senders.keep_bounded(now)

    def _take_events(self, stream: Stream) -> None:
        events = stream.incoming.events
        for what in events:
            self._gaps += isinstance(what, Hole)
            self.events.append(Event(stream.reply_to, what))
        events.clear()

    def _take_closed(self) -> None:
        for stream in self._senders.closed:
            self._take_events(stream)
        self._senders.closed.clear()

    def _take_answers(self, stream: Outgoing, ready: list[Datagram]) -> None:
        if stream.answers:
            ready += stream.answers
            stream.answers.clear()


def _addresses(mark: Mark, ends: Iterable[int]) -> tuple[Address, ...]:
    return tuple(sorted(mark.expected[end] for end in ends))
