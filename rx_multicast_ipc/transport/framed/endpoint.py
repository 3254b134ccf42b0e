"""One end of a reliable channel, whole but for sockets and clocks. Pure: datagrams and the time in, datagrams out.

It joins the stream to the group, a stream to each receiver that was sent to alone, the streams that are heard, and who
is there. After any call, :meth:`Endpoint.datagrams` gives what is to be sent, ``events`` what is to be delivered, and
:meth:`Endpoint.timer` when to call :meth:`Endpoint.datagrams` again.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from ...message import Address
from ...option_values.reliable import Reliable
from .announcements import Announcements
from .incoming import Incoming
from .incoming_streams import IncomingStreams, Key
from .outgoing import Outgoing
from .outgoing_streams import OutgoingStreams
from .packet_codec import pack, parse
from .packets import Beat, Bye, Data, Datagram, MalformedPacket, Packet, Status
from .reassembly import Event

_ALONE: Final = 0.5
"""Seconds without an answer to any of five announcements, after which nobody is there."""


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
        to_group: the stream to the group.
        packet_of: see :meth:`Outgoing.packet_of`, of that stream.
        beats: of that stream; who sent a packet of ``packet_of`` sees to it that :attr:`due` is no later.
        stream_of: the stream that is heard of a :class:`Key`, or of a plain tuple of the same. What its
            :meth:`Incoming.take_next` takes is to be delivered; :meth:`look_for_status` follows if it owes enough.
        due: when one of the streams that are sent has something to send, if nothing happens before.
        heard_due: the same for those that are heard.
    """

    def __init__(self, options: Reliable, packet_size: int, room: int, random: Random, now: float) -> None:
        self.events: list[Event] = []
        self._outgoing = OutgoingStreams(options, packet_size, random, now)
        self.to_group = self._outgoing.to_group
        self.to_group.marks.opened(now)
        self._incoming = IncomingStreams(self.events, options, room, random, now)
        # Not wrapped: between a message and its answer each call counts.
        self.packet_of = self.to_group.packet_of
        self.beats = self.to_group.beats
        self.stream_of = self._incoming.get
        self._announcements = Announcements(random)
        self._opened_at = now
        self._ending = False
        self._foreign = 0
        self._touched: dict[Outgoing, None] = {}
        self._heard: dict[Incoming, None] = {}
        self.due = self.heard_due = math.inf
        self._parting: list[Datagram] = []

    @property
    def counts(self) -> Counts:
        return Counts(
            repaired=self._incoming.repaired,
            asked=self._incoming.asked,
            repeated=self._outgoing.repeated,
            gaps=self._incoming.holes,
            foreign=self._foreign + self._incoming.refused,
            unacknowledged=self._outgoing.unacknowledged,
        )

    @property
    def buffered(self) -> int:
        """Bytes that wait for what is missing."""
        return self._incoming.buffered

    @property
    def streams(self) -> int:
        """Streams that it hears."""
        return len(self._incoming)

    @property
    def peers(self) -> frozenset[Address]:
        """Who else was heard to be there."""
        return self._announcements.peers

    def announce(self, now: float) -> None:
        """Say that this end is there, so that senders wait for it."""
        self._announcements.say_hello(now)

    def has_room(self, destination: Address | None = None) -> bool:
        """Whether another message to there is taken."""
        stream = self._outgoing.find(destination)
        return stream is None or stream.room

    @property
    def congested(self) -> bool:
        """Whether something waits that leaves no room for more."""
        return self._outgoing.congested

    def send(
        self, messages: Sequence[bytes], destination: Address | None, now: float, *, all_of_them: bool = False
    ) -> int:
        """Take messages to be sent; returns how many there was room for, unless it is to take ``all_of_them``."""
        stream = self.to_group
        if destination is not None:
            stream = self._outgoing.find(destination) or self._outgoing.open(destination, now)
        self._touched[stream] = None
        return stream.offer(messages, all_of_them=all_of_them)

    @property
    def drained(self) -> bool:
        """Whether everything that was taken has gone out."""
        return self._outgoing.drained

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
        if type(packet) is Data:
            stream = self._incoming.get((sender or source, packet.session, direct))
            if stream is not None and not self._ending:
                self._heard[stream] = None
                stream.on_data(packet, origin, now)
                if stream.buffered:
                    self._heard |= dict.fromkeys(self._incoming.keep_bounded(now))
                return
        elif type(packet) is Status:
            self._on_status(packet, source, direct, now)
            return
        if not self._ending and packet.session not in self._outgoing:  # who leaves hears nothing more
            self._on_stream(packet, sender or source, source, direct, origin, now)

    def look_for_status(self, stream: Incoming, now: float) -> None:
        """A message that a stream took was delivered, and its status owes a look."""
        due = stream.status.look(now)
        if due < self.heard_due:
            self.heard_due = due
        if due <= now:
            self._heard[stream] = None

    def end(self, now: float) -> None:
        """Send what waits, wait for acknowledgements for a second at most, say goodbye; then ``ended``."""
        self._ending = True
        self.due = now
        for stream in self._incoming.streams():
            self._parting += self._statuses(stream, stream.last_status(now))
        self._announcements.say_goodbye(now)
        alone = not self._announcements.peers and now - self._opened_at >= _ALONE
        for stream in self._outgoing.all():
            stream.end(now, alone=alone)

    @property
    def ended(self) -> bool:
        """Whether every stream has ended."""
        return self._outgoing.ended

    def datagrams(self, now: float, *, heard: bool = True) -> list[Datagram]:
        """What is to be sent now.

        Only streams that something happened to are asked, until the time comes at which one of the others has more.

        Args:
            now: seconds.
            heard: whether those that are heard are asked, too. Not by another thread than calls :meth:`receive`.
        """
        ready, due, heard_due, heard_of = [*self._parting], self.due, self.heard_due, self._heard
        if heard:
            all_heard = now >= heard_due
            heard_due, heard_of = math.inf if all_heard else heard_due, {}
            if not self._ending:
                for stream in self._incoming.streams() if all_heard else self._heard:
                    heard_due = min(heard_due, self._poll_incoming(stream, now, ready))
        if self._announcements.at <= now:
            ready += self._announcements.take(now)
        all_sent = now >= due
        due = math.inf if all_sent else due
        for stream in self._outgoing.all() if all_sent else self._touched:
            due = min(due, self._poll_outgoing(stream, now, ready))
        # Last, without a call between: where Ctrl-C comes before, all of them are asked once more.
        self.due, self._touched, self._parting = due, {}, []
        self.heard_due, self._heard = heard_due, heard_of
        return ready

    @property
    def hurries(self) -> bool:
        """Whether :meth:`timer` is to be kept to the millisecond. A beat or an acknowledgement may be a little late."""
        return any(stream.hurries for stream in self._outgoing.all()) or any(
            stream.hurries for stream in self._incoming.streams()
        )

    def timer(self) -> float:
        """When :meth:`datagrams` is to be called again if nothing happens before, or sooner; infinity for never."""
        return min(self.due, self.heard_due, self._announcements.at)

    def _poll_incoming(self, stream: Incoming, now: float, ready: list[Datagram]) -> float:
        """Add what a stream has to send; returns when to ask it again."""
        due = stream.timer()
        if due > now:
            return due
        ready += self._statuses(stream, stream.statuses(now))
        return stream.timer()

    def _statuses(self, stream: Incoming, statuses: list[Status]) -> list[Datagram]:
        return [(pack(status._replace(end=self._announcements.end)), stream.sender) for status in statuses]

    def _poll_outgoing(self, stream: Outgoing, now: float, ready: list[Datagram]) -> float:
        destination = stream.destination
        ready += [(packet, destination) for packet in stream.packets(now)]
        if stream.answers:
            ready += stream.answers
            stream.answers.clear()
        return stream.timer()

    def _on_status(self, status: Status, source: Address, direct: bool, now: float) -> None:
        if status.session == 0:
            self._on_announcement(status, source, direct, now)
            return
        stream = self._outgoing.get(status.session)
        if stream is not None and direct:
            stream.on_status(source, status, now)
            self._touched[stream] = None

    def _on_announcement(self, status: Status, source: Address, direct: bool, now: float) -> None:
        if status.leave:
            self._announcements.on_leave(status.end)
            for stream in self._outgoing.all():
                stream.on_leave(status.end)
            self.due = now
        elif not self._ending:
            self.to_group.on_hello(status.end, source, now)
            self._touched[self.to_group] = None
            self._announcements.on_hello(status.end, source, direct, status.highest > 0, now)

    def _on_stream(
        self, packet: Packet, sender: Hashable, source: Address, direct: bool, origin: Any, now: float
    ) -> None:
        incoming = self._incoming
        is_data = isinstance(packet, Data)
        stream = incoming.get((sender, packet.session, direct))
        if stream is None and direct and not is_data:  # an answer to a challenge comes to this end alone
            stream = incoming.get((sender, packet.session, False))
        if stream is None:
            if isinstance(packet, Bye):
                return
            key = Key(sender, packet.session, direct)
            stream = incoming.open(key, source, packet.number if is_data else 0, now)
            if stream is None:
                return
        self._heard[stream] = None
        if isinstance(packet, Data):
            stream.on_data(packet, origin, now)
        elif isinstance(packet, Beat):
            stream.on_beat(packet, now)
        elif isinstance(packet, Bye):
            stream.on_bye(packet.number, now)
        if stream.buffered:
            self._heard |= dict.fromkeys(incoming.keep_bounded(now))
