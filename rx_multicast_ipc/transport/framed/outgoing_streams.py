"""The streams that an end sends: one to the group, and one to each receiver that was sent to alone. Pure."""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import Final

from ...message import Address
from ...option_values.reliable import Reliable
from .outgoing import Outgoing

_MOST_DIRECT: Final = 256
"""Receivers that are sent to alone and remembered."""


class OutgoingStreams:
    """The streams that an end sends.

    Args:
        options: of the channel.
        packet_size: bytes of the largest packet.
        random: for sessions.
        now: seconds.

    Attributes:
        to_group: the one to the group.
    """

    def __init__(self, options: Reliable, packet_size: int, random: Random, now: float) -> None:
        self._options = options
        self._packet_size = packet_size
        self._random = random
        self.to_group = self._new(now, None)
        self._to_one: dict[Address, Outgoing] = {}
        self._by_session = {self.to_group.session: self.to_group}
        self._repeated = self._unacknowledged = 0

    def __contains__(self, session: int) -> bool:
        return session in self._by_session

    def get(self, session: int) -> Outgoing | None:
        return self._by_session.get(session)

    def all(self) -> Collection[Outgoing]:
        return self._by_session.values()

    def find(self, destination: Address | None) -> Outgoing | None:
        """The stream to there, if there is one."""
        return self.to_group if destination is None else self._to_one.get(destination)

    def open(self, destination: Address, now: float) -> Outgoing:
        """A new stream to one receiver, in place of the one that has been idle, or there, for longest."""
        if len(self._to_one) >= _MOST_DIRECT:
            oldest = next((to for to, stream in self._to_one.items() if stream.idle), next(iter(self._to_one)))
            stream = self._to_one[oldest]
            repeated, unacknowledged = stream.repeated, stream.unacknowledged
            del self._to_one[oldest], self._by_session[stream.session]  # no call from here on
            self._repeated += repeated
            self._unacknowledged += unacknowledged
        stream = self._to_one[destination] = self._new(now, destination)
        self._by_session[stream.session] = stream
        return stream

    @property
    def repeated(self) -> int:
        """Packets that were sent again."""
        return self._repeated + sum(stream.repeated for stream in self.all())

    @property
    def unacknowledged(self) -> int:
        """Packets of streams that have ended, which somebody had not acknowledged."""
        return self._unacknowledged + sum(stream.unacknowledged for stream in self.all() if stream.finished)

    @property
    def congested(self) -> bool:
        """Whether something waits that leaves no room for more."""
        return not all(stream.room for stream in self.all())

    @property
    def drained(self) -> bool:
        """Whether everything that was taken has gone out."""
        return all(stream.drained for stream in self.all())

    @property
    def ended(self) -> bool:
        """Whether every stream has ended."""
        return all(stream.finished for stream in self.all())

    def _new(self, now: float, destination: Address | None) -> Outgoing:
        session = self._random.getrandbits(32) or 1
        return Outgoing(session, self._options, self._packet_size, now, destination)
