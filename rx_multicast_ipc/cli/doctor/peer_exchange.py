"""Two or more machines find each other in a group, and count what they hear of each other.

Everybody pings the group (see :mod:`..ping_protocol`) and answers pings, so a listener that only answers counts, too.
Who hears another's pings, or its reports, tells it directly what was heard, as JSON::

    {"rx-multicast-ipc":"report","id":"0a1b2c3d","of":"9f86d081","first":1,"last":50,"heard":49,"sent":51}

``heard`` of the pings ``first`` to ``last`` of the asker ``of`` arrived; ``sent`` is how many the teller sent itself.
So each side learns of both directions, even if one of them is dead, as long as unicast is alive.

Any of it may come from a forged address, whose owner must not be flooded: a peer is told something only for a sign of
it, a few times for each; it is asked directly only if it has proved that it hears what is sent to it; and all of it is
limited (:class:`...strangers.rate_limit.AnswerLimit`), as is the number of peers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple
from uuid import uuid4

import msgspec
from reactivex.abc import DisposableBase
from reactivex.disposable import CompositeDisposable

from ...channel import Channel
from ...channel_scheduler import clock_of
from ...group import Group
from ...message import Address, Message
from ...strangers.bounded_map import BoundedMap
from ...strangers.decoding import decode_or_none
from ...strangers.rate_limit import AnswerLimit
from ..ping_protocol import Count, Identity, Ping, answer_pings, decode_ping, decode_pong, encode_ping

_REPORT: Final = b'{"rx-multicast-ipc":"report",'
_DIRECT: Final = "-direct"
"""Put behind the id of pings to one address, which tell whether it lives, and nothing of the group."""

PATIENCE: Final = 8
"""Intervals without a sign until a way counts as silent: more than bad luck, even where a third is lost."""


_PEERS: Final = 200
"""Peers that are told apart; beyond it, who has been silent longest is forgotten."""

_REMEMBERED: Final = 10_000
"""Numbers of one peer that are kept to tell a duplicate from a new one."""

_TIMES: Final = 2
"""Reports that one sign of a peer is worth: more than one, for they may be lost."""


class Report(msgspec.Struct, frozen=True):
    """How many of another end's pings one end heard. See the module."""

    id: Identity
    of: Identity
    first: Count
    last: Count
    heard: Count
    sent: Count

    def __post_init__(self) -> None:
        if self.heard > (self.last - self.first + 1 if self.last else 0):
            raise ValueError("more was heard than there was")


_decode_report: Final = msgspec.json.Decoder(Report).decode


class Silence(NamedTuple):
    """One direction fell silent, or is heard again.

    Attributes:
        peer: with whom.
        outgoing: whether it is the one from here to there.
        again: whether it is heard again.
        after: seconds since the exchange began.
        alive: whether the peer still answers when it is asked directly.
    """

    peer: Address
    outgoing: bool
    again: bool
    after: float
    alive: bool


class Numbers:
    """Which numbers came, each counted once.

    Attributes:
        first, last: the lowest and the highest; 0 if none came.
        count: how many.
    """

    def __init__(self) -> None:
        self.first = self.last = self.count = 0
        self._latest: BoundedMap[int, None] = BoundedMap(_REMEMBERED)

    def add(self, number: int) -> None:
        if number not in self._latest:
            self.first = min(self.first or number, number)
            self.last = max(self.last, number)
            self.count = min(self.count + 1, self.span)
        self._latest.use(number, lambda _: None)

    @property
    def span(self) -> int:
        """How many there are from the first to the last."""
        return self.last - self.first + 1 if self.last else 0


class Way:
    """One direction between this machine and a peer.

    Attributes:
        last_sign: when it was last seen to work, in seconds since the exchange began; None if it never was.
        silent_since: the last sign before the silence that lasts.
        noticed_at: when that was noticed.
        told: whether it was told.
    """

    def __init__(self) -> None:
        self.last_sign: float | None = None
        self.silent_since: float | None = None
        self.noticed_at = 0.0
        self.told = False

    def sign(self, now: float) -> None:
        self.last_sign = now


class Peer:
    """Another machine's end of the group, as it is known here.

    Attributes:
        address: where its datagrams come from.
        heard: which of its pings to the group were heard.
        report: the latest that it told, if it tells.
        answered: which of our pings to the group it answered.
        there, here: the ways to it and from it.
        alive_at: when it last answered directly or told anything; None if it never did.
        owed: reports that it is still to be sent, for its latest sign.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.id = ""
        self.heard = Numbers()
        self.report: Report | None = None
        self.answered = Numbers()
        self.there, self.here = Way(), Way()
        self.alive_at: float | None = None
        self.owed = 0

    @property
    def proved(self) -> bool:
        """Whether it ever heard what was sent to it; else its address may be forged."""
        return self.alive_at is not None

    def report_of_it(self, own_id: str, sent: int) -> bytes:
        """What was heard of it, as a datagram to it."""
        heard = self.heard
        report = Report(own_id, self.id, heard.first, heard.last, heard.count, sent)
        return _REPORT + msgspec.json.encode(report)[1:]


class Exchange:
    """Pings, answers and tells on a channel, until it is disposed of. Everything happens on the channel's thread.

    Args:
        channel: opened with ``echo=False``.
        interval: seconds between two pings.
        tell: called for each silence, and each end of one; None does not look for any.
    """

    def __init__(self, channel: Channel, interval: float, tell: Callable[[Silence], None] | None = None) -> None:
        self.id = uuid4().hex[:8]
        self.sent = 0
        self.peers: BoundedMap[Address, Peer] = BoundedMap(_PEERS)
        self.met_at: float | None = None
        """When the first peer was met, in seconds since it began."""
        self._channel = channel
        self._interval = interval
        self._patience = PATIENCE * interval
        self._tell = tell
        self._clock = clock_of(channel.scheduler)
        self._started = self._clock()
        self._limit = AnswerLimit(self._clock)

    def begin(self) -> DisposableBase:
        """Start; disposing ends it."""
        return CompositeDisposable(
            answer_pings(self._channel, self._limit),
            self._channel.messages.subscribe(self._hear),
            self._channel.scheduler.schedule_periodic(self._interval, self._tick),
        )

    @property
    def group(self) -> Group:
        """Where it happens."""
        return self._channel.group

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._started

    def _tick(self, state: object) -> None:
        self.sent += 1
        self._broadcast(encode_ping(Ping(self.id, self.sent, time.time())))
        now = self.elapsed
        for peer in list(self.peers.values()):
            if peer.id and peer.owed:
                peer.owed -= 1
                self._send(peer, peer.report_of_it(self.id, self.sent))
            if self._tell is not None and peer.proved:
                for way in (peer.there, peer.here):
                    self._watch(peer, way, now, self._tell)

    def _watch(self, peer: Peer, way: Way, now: float, tell: Callable[[Silence], None]) -> None:
        if way.last_sign is None:
            return
        if way.silent_since is None:
            if now - way.last_sign > self._patience:
                way.silent_since, way.noticed_at = way.last_sign, now
        elif way.last_sign > way.silent_since:
            if way.told:
                tell(Silence(peer.address, way is peer.there, True, now, True))
            way.silent_since, way.told = None, False
        elif not way.told:  # is it the group, or the peer?
            alive = peer.alive_at is not None and peer.alive_at > way.noticed_at
            if alive or now - way.noticed_at > self._patience:
                way.told = True
                tell(Silence(peer.address, way is peer.there, False, way.silent_since, alive))
            else:
                self._send(peer, encode_ping(Ping(self.id + _DIRECT, self.sent, time.time())))

    def _hear(self, message: Message) -> None:
        if not message.port:  # nobody who takes part: it could not be answered
            return
        data, now = message.data, self.elapsed
        ping = decode_ping(data)
        if ping is not None:
            if not message.direct and not ping.id.endswith(_DIRECT):
                self._take_ping(message, ping, now)
            return
        pong = decode_pong(data)
        if pong is not None:
            self._take_pong(message, pong, now)
        elif data.startswith(_REPORT):
            report = decode_or_none(_decode_report, data)
            if report is not None and report.of in (self.id, ""):
                self._take_report(message, report, now)

    def _take_ping(self, message: Message, ping: Ping, now: float) -> None:
        peer = self._peer(message)
        peer.id = ping.id
        peer.owed = _TIMES
        peer.heard.add(ping.sequence)
        peer.here.sign(now)

    def _take_pong(self, message: Message, pong: Ping, now: float) -> None:
        if pong.sequence > self.sent:
            return
        if pong.id == self.id:
            peer = self._peer(message)
            peer.answered.add(pong.sequence)
            peer.alive_at = now
            peer.there.sign(now)
        elif pong.id == self.id + _DIRECT:
            self._peer(message).alive_at = now

    def _take_report(self, message: Message, report: Report, now: float) -> None:
        peer = self._peer(message)
        peer.id = report.id
        peer.owed = _TIMES
        if report.of == self.id:
            peer.alive_at = now
        if peer.report is not None and report.last > peer.report.last:
            peer.there.sign(now)
        peer.report = report

    def _peer(self, message: Message) -> Peer:
        if self.met_at is None:
            self.met_at = self.elapsed
        return self.peers.use(message.sender, Peer)

    def _broadcast(self, data: bytes) -> None:
        self._channel.broadcast(data).subscribe(on_error=_ignore)

    def _send(self, peer: Peer, data: bytes) -> None:
        address, port = peer.address
        if self._limit.allows(address, len(data)):
            self._channel.send(data, port, address).subscribe(on_error=_ignore)


def _ignore(_: Exception) -> None:
    """A send that the system refuses counts as lost."""
