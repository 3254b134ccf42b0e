"""Two or more machines find each other in a group, and count what they hear of each other.

Everybody pings the group (see :mod:`..ping_protocol`) and answers pings, so a listener that only answers counts, too.
Who hears another's pings, or its reports, tells it directly what was heard, as JSON::

    {"rx-multicast-ipc":"report","id":"0a1b2c3d","of":"9f86d081","first":1,"last":50,"heard":49,"sent":51}

``heard`` of the pings ``first`` to ``last`` of the asker ``of`` arrived; ``sent`` is how many the teller sent itself.
So each side learns of both directions, even if one of them is dead, as long as unicast is alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple
from uuid import uuid4

import msgspec
from reactivex.abc import DisposableBase
from reactivex.disposable import CompositeDisposable

from ...channel import Channel
from ...group import Group
from ...message import Address, Message
from ..ping_protocol import Ping, answer_pings, decode_ping, decode_pong, encode_ping

_REPORT: Final = b'{"rx-multicast-ipc":"report",'
_DIRECT: Final = "-direct"
"""Put behind the id of pings to one address, which tell whether it lives, and nothing of the group."""

PATIENCE: Final = 8
"""Intervals without a sign until a way counts as silent: more than bad luck, even where a third is lost."""


class Report(msgspec.Struct, frozen=True):
    """What one heard of another's pings. See the module."""

    id: str
    of: str
    first: int
    last: int
    heard: int
    sent: int


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
        alive_at: when it last answered directly or told anything.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.id = ""
        self.heard: set[int] = set()
        self.report: Report | None = None
        self.answered: set[int] = set()
        self.there, self.here = Way(), Way()
        self.alive_at = 0.0

    def report_of_it(self, own_id: str, sent: int) -> bytes:
        """What was heard of it, as a datagram to it."""
        first, last = (min(self.heard), max(self.heard)) if self.heard else (0, 0)
        report = Report(own_id, self.id, first, last, len(self.heard), sent)
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
        self.peers: dict[Address, Peer] = {}
        self.met_at: float | None = None
        """When the first peer was met, in seconds since it began."""
        self._channel = channel
        self._interval = interval
        self._patience = PATIENCE * interval
        self._tell = tell
        self._started = self._clock()

    def begin(self) -> DisposableBase:
        """Start; disposing ends it."""
        return CompositeDisposable(
            answer_pings(self._channel),
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

    def _clock(self) -> float:
        scheduler = self._channel.scheduler
        return scheduler.to_seconds(scheduler.now)

    def _tick(self, state: object) -> None:
        self.sent += 1
        self._broadcast(encode_ping(Ping(self.id, self.sent, time.time())))
        now = self.elapsed
        for peer in list(self.peers.values()):
            if peer.id:
                self._send(peer, peer.report_of_it(self.id, self.sent))
            if self._tell is not None:
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
            alive = peer.alive_at > way.noticed_at
            if alive or now - way.noticed_at > self._patience:
                way.told = True
                tell(Silence(peer.address, way is peer.there, False, way.silent_since, alive))
            else:
                self._send(peer, encode_ping(Ping(self.id + _DIRECT, self.sent, time.time())))

    def _hear(self, message: Message) -> None:
        data, now = message.data, self.elapsed
        ping = decode_ping(data)
        if ping is not None:
            if not message.direct and not ping.id.endswith(_DIRECT):
                peer = self._peer(message)
                peer.id = ping.id
                peer.heard.add(ping.sequence)
                peer.here.sign(now)
            return
        pong = decode_pong(data)
        if pong is not None:
            if pong.id == self.id:
                peer = self._peer(message)
                peer.answered.add(pong.sequence)
                peer.there.sign(now)
            elif pong.id == self.id + _DIRECT:
                self._peer(message).alive_at = now
        elif data.startswith(_REPORT):
            with suppress(msgspec.MsgspecError):
                self._take(message, _decode_report(data), now)

    def _take(self, message: Message, report: Report, now: float) -> None:
        if report.of not in (self.id, ""):
            return
        peer = self._peer(message)
        peer.id = report.id
        peer.alive_at = now
        if peer.report is not None and report.last > peer.report.last:
            peer.there.sign(now)
        peer.report = report

    def _peer(self, message: Message) -> Peer:
        if self.met_at is None:
            self.met_at = self.elapsed
        return self.peers.setdefault(message.sender, Peer(message.sender))

    def _broadcast(self, data: bytes) -> None:
        self._channel.broadcast(data).subscribe(on_error=_ignore)

    def _send(self, peer: Peer, data: bytes) -> None:
        address, port = peer.address
        self._channel.send(data, port, address).subscribe(on_error=_ignore)


def _ignore(_: Exception) -> None:
    """A send that the system refuses counts as lost."""
