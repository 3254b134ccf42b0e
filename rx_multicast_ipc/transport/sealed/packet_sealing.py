"""The envelope of sealed channels: locks, timers and events around :class:`Sessions`, which knows the protocol."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from typing import Final

from ...channel_events import Rejected
from ...channel_scheduler import clock_of, wall_clock_of
from ...message import Address, Message
from ...option_values.key import Keys
from ...strangers.bounded_map import BoundedMap
from ..framed.packet_port import PacketPort
from ..next_timer import NextTimer
from ..random_numbers import random_of
from .challenge_packet import Challenge, pack
from .rejections import Report
from .sessions import Sessions
from .wire_format import OVERHEAD

_log = logging.getLogger("rx_multicast_ipc")

_ANSWERED: Final = 0.2
"""Seconds in which those who are there have asked a new end to prove that it is."""

_REMEMBERED: Final = 1024
"""Ends that were sent to alone."""


class PacketSealing:
    """Seals and opens the packets of one opening of a channel; see :class:`~..framed.envelope.Envelope`.

    Args:
        keys: the first one seals, all open.
    """

    _port: PacketPort
    _sessions: Sessions

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._news_at = -math.inf
        self._began = False
        self._sent_to: BoundedMap[Address, None] = BoundedMap(_REMEMBERED)

    @property
    def overhead(self) -> int:
        return OVERHEAD

    def attach(self, port: PacketPort) -> None:
        self._port = port
        transport = port.transport
        self._now = clock_of(transport.scheduler)
        self._wall_clock = wall_clock_of(transport.scheduler)
        self._timer = NextTimer(transport.scheduler, self._on_timer)
        group = transport.group
        self._sessions = Sessions(
            self._keys,
            (group.address, group.port),
            lambda: transport.own_addresses,
            random_of(transport).randbytes,
            self._now(),
            several=group.has_several_interfaces,
        )
        del self._keys  # which the sessions have, and let go of once they are changed
        self._told_of = self._sessions.prefix

    def announce(self) -> None:
        """Tell the group that this end is there, so that it is known before it says anything."""
        self._port.send_packed(pack(Challenge()), None)

    def wrap(self, packet: bytes, destination: Address | None) -> bytes:
        now = self._now()
        if destination is None:
            if not self._began:
                self._began, self._news_at = True, now
        elif destination not in self._sent_to:
            self._news_at = now
            self._sent_to.use(destination, lambda _: None)
        return self._sessions.seal(packet, destination, now)

    def open(self, batch: Iterable[Message]) -> list[Message]:
        sessions = self._sessions
        with self._port.lock:
            now = self._now()
            ready = sessions.open(batch, now)
            if not sessions.has_news:
                return ready
            reports = self._go_on(now)
        self._tell(reports)
        return ready

    @property
    def settled_at(self) -> float:
        """Until when (``time.monotonic``, or virtual seconds) somebody may still ask for a proof, and is to get it."""
        return max(self._news_at, self._sessions.newcomer_at) + _ANSWERED

    def change_keys(self, keys: Keys) -> None:
        """See :meth:`Sessions.change_keys`; from any thread."""
        with self._port.lock:
            self._sessions.change_keys(keys)
            if self._told_of != self._sessions.prefix:
                self._began = False
                self._sent_to.clear()
                self.announce()
                self._told_of = self._sessions.prefix
        self._port.transport.call(self._look)

    def counts(self) -> dict[str, int]:
        return {"rejected": self._sessions.rejections.total}

    def _look(self) -> None:
        with self._port.lock:
            reports = self._go_on(self._now())
        self._tell(reports)

    def _on_timer(self) -> None:
        with self._port.lock:
            now = self._now()
            self._sessions.tick(now)
            reports = self._go_on(now)
        if self._sessions.has_ready:
            self._port.arrive_from_envelope()
        self._tell(reports)

    def _go_on(self, now: float) -> list[Report]:
        """Send what is to be sent, and plan when to go on; with the lock. Returns what is to be told without it."""
        sessions, port = self._sessions, self._port
        reports = sessions.rejections.take(now)
        if port.is_open:  # before anything is sent, so that Ctrl-C behind it leaves nobody who is not asked again
            self._timer.call_at(min(sessions.timer(), sessions.rejections.timer()), now)
        if sessions.outgoing:
            outgoing = [*sessions.outgoing]
            sessions.outgoing.clear()
            port.send_wrapped(outgoing)
        return reports

    def _tell(self, reports: list[Report]) -> None:
        for why, detail, sender, count, first in reports:
            reason = f"{why.value}: {detail}" if detail else why.value
            if first:
                _log.warning(
                    "%s: %d datagrams of %s:%d were rejected, %s; see Rejected on channel.events for more",
                    self._port.transport.group,
                    count,
                    *sender,
                    reason,
                )
            self._port.tell(Rejected(reason, sender, count, self._wall_clock()))
