"""The sessions of this end: the one that it seals with, and former ones that others may still know it by. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from operator import itemgetter
from typing import Final

from ...message import Address
from ...option_values.key import Key
from ...strangers.bounded_map import BoundedMap
from .packet_cipher import Opener, Sealer
from .session import Session
from .wire_format import SALT_SIZE

_SAMPLE: Final = 0.01
"""Seconds between two sends of which the counter and the time are remembered."""

_SAMPLES: Final = 4096

_REMEMBERED: Final = 4
"""Sessions: an end answers with that which it is asked for, and what was sealed for one of them alone opens."""


class OwnSession:
    """One salt of this end.

    Attributes:
        sealer: seals with it.
        session: as others see it, so that what comes back is known for this end's own.
    """

    __slots__ = ("_sample_at", "_samples", "sealer", "session")

    def __init__(self, key: Key, group: Address, salt: bytes) -> None:
        self.sealer = Sealer(key, group, salt)
        self.session = Session(self.sealer.prefix, Opener(key, group, self.sealer.prefix))
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self._sample_at = -math.inf

    def put(self, packet: bytes, target: bytes, now: float) -> bytes:
        """The datagram of a packet. Raises ``OverflowError`` when the salt is used up."""
        datagram = self.sealer.seal(packet, target)
        if now >= self._sample_at:
            self._sample_at = now + _SAMPLE
            self._samples.append((now, self.sealer.last))
        return datagram

    def first_since(self, time: float) -> int:
        """The counter of the first datagram that was sent at or after a time, or a little before it."""
        samples = self._samples
        place = bisect_right(samples, time, key=itemgetter(0)) - 1
        if place < 0:
            return samples[0][1] if len(samples) == _SAMPLES else 1
        sampled_at, counter = samples[place]
        if time < sampled_at + _SAMPLE:
            return counter
        return samples[place + 1][1] if place + 1 < len(samples) else self.sealer.last + 1


class OwnSessions:
    """The sessions of one end.

    Args:
        key: to begin with.
        group: the group's end.
        random_bytes: gives so many, not to be guessed, and never the same again.

    Attributes:
        current: the one that it seals with.
    """

    def __init__(self, key: Key, group: Address, random_bytes: Callable[[int], bytes]) -> None:
        self._group = group
        self._random_bytes = random_bytes
        self._all: BoundedMap[bytes, OwnSession] = BoundedMap(_REMEMBERED)
        self.current = self.prepare(key)

    def prepare(self, key: Key) -> OwnSession:
        """A new session, which others may know this end by as soon as it is the current one."""
        new = OwnSession(key, self._group, self._random_bytes(SALT_SIZE))
        return self._all.use(new.sealer.prefix, lambda _: new)

    def renew(self, key: Key) -> None:
        """Seal with this key, and a new salt, from now on."""
        self.current = self.prepare(key)

    def seal(self, packet: bytes, target: bytes, now: float) -> bytes:
        """The datagram of a packet; see :meth:`Sealer.seal`."""
        try:
            return self.current.put(packet, target, now)
        except OverflowError:
            self.renew(self.current.sealer.key)
            return self.current.put(packet, target, now)

    def seal_as(self, own: OwnSession, packet: bytes, target: bytes, now: float) -> bytes:
        """The same in a session that may be a former one, for an end that knows this one by it."""
        with suppress(OverflowError):
            return own.put(packet, target, now)
        return self.seal(packet, target, now)

    def get(self, prefix: bytes) -> OwnSession | None:
        """The session with a prefix, if it is one of this end's."""
        return self._all.get(prefix)

    @property
    def prefixes(self) -> list[bytes]:
        """Of all that are remembered, the newest first."""
        return [*reversed(self._all)]
