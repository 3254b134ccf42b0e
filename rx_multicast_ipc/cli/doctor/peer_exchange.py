"""Two or more machines find each other in a group, and count what they hear of each other.

Everybody pings the group (see :mod:`..ping_protocol`) and answers pings, so a listener that only answers counts, too.
Who hears another's pings, or its reports, tells it directly what was heard (see :mod:`.peer_report`). So each side
learns of both directions, even if one of them is dead, as long as unicast is alive.

Any of it may come from a forged address, whose owner must not be flooded: a peer is told something only for a sign of
it, a few times for each; it is asked directly only if it has proved that it hears what is sent to it; and all of it is
limited (:class:`...strangers.rate_limit.AnswerLimit`), as is the number of peers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple
from uuid import uuid4

from reactivex.abc import DisposableBase
from reactivex.disposable import CompositeDisposable

from ...channel import Channel
from ...channel_scheduler import clock_of
from ...group import Group
from ...message import Address, Message
from ...strangers.bounded_map import BoundedMap
from ...strangers.rate_limit import AnswerLimit
from ..ping_protocol import Ping, answer_pings, decode_ping, decode_pong, encode_ping
from .peer import Peer, Way
from .peer_report import Report, decode_report

_DIRECT: Final = "-direct"
"""Put behind the id of pings to one address, which tell whether it lives, and nothing of the group."""

PATIENCE: Final = 8
"""Intervals without a sign until a way counts as silent: more than bad luck, even where a third is lost."""

_PEERS: Final = 200
"""Peers that are told apart; beyond it, who has been silent longest is forgotten."""

_TIMES: Final = 2
"""Reports that one sign of a peer is worth: more than one, for they may be lost."""


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
            return
        report = decode_report(data)
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
