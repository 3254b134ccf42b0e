"""The streams that an end hears: at most so many, in bounded memory, whoever sends. Pure: time is passed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, ValuesView
from random import Random
from typing import Final, NamedTuple

from ...message import Address
from ...option_values.reliable import Reliable
from .incoming import Incoming
from .reassembly import Event

MOST_STREAMS: Final = 64
"""Streams that are heard at a time."""

_MOST_OF_ONE: Final = 4
"""Streams of one sender: the group's, one for this end alone, and those of its predecessor at the same address."""

_FRESH: Final = 3.0
"""Seconds for which a stream that was heard is not given up for a new one: three beats."""

_ANSWER: Final = 0.1
"""Seconds that the sender of a new stream has to answer, before another new one of that sender takes its place."""

_REMEMBERED: Final = 1024
"""Streams that were heard earlier: if they come again, they go on where they were."""

_LONG_AGO: Final = 1.0
"""Seconds that an end is open after which the first packet of a stream is taken for its beginning, not for a repair."""


_MOVED: Final = 0.5
"""Seconds that a stream was silent and then goes on from another address: it has moved, as when a bridge took over."""


class Key(NamedTuple):
    """What tells streams apart.

    Attributes:
        sender: who sends it.
        session: of the stream.
        direct: whether it is for this end alone.
    """

    sender: Hashable
    session: int
    direct: bool


class IncomingStreams:
    """The streams that an end hears.

    Args:
        events: gets what is to be delivered.
        options: of the channel.
        room: bytes of receive buffer.
        random: for challenges and waits.
        now: seconds; since when the end is there.

    Attributes:
        refused: packets of streams that there was no place for.
        get: gives the stream of a :class:`Key`, or of a plain tuple of the same; None if it is not heard.
    """

    def __init__(self, events: list[Event], options: Reliable, room: int, random: Random, now: float) -> None:
        self.refused = 0
        self._events = events
        self._options = options
        self._room = room
        self._random = random
        self._opened_at = now
        self._streams: dict[tuple[Hashable, int, bool], Incoming] = {}
        self.get = self._streams.get
        self._earlier: OrderedDict[tuple[Hashable, int, bool], int] = OrderedDict()
        self._asked = self._repaired = self._holes = 0
        self._most_bytes = 2 * options.largest + 2 * options.keep

    def __len__(self) -> int:
        return len(self._streams)

    def streams(self) -> ValuesView[Incoming]:
        return self._streams.values()

    @property
    def asked(self) -> int:
        """Requests for repairs."""
        return self._asked + sum(stream.asked for stream in self._streams.values())

    @property
    def repaired(self) -> int:
        """Packets that came because they were asked for."""
        return self._repaired + sum(stream.repaired for stream in self._streams.values())

    @property
    def holes(self) -> int:
        """Holes that were told."""
        return self._holes + sum(stream.holes for stream in self._streams.values())

    @property
    def buffered(self) -> int:
        """Bytes that wait for what is missing."""
        return sum(stream.buffered for stream in self._streams.values())

    def open(self, key: Key, sender: Address, number: int, now: float) -> Incoming | None:
        """The stream of that key, from now on; None if there is no place for it.

        Args:
            key: of the stream.
            sender: where its sender hears.
            number: of its packet that came; 0 if it was none of DATA.
            now: seconds.
        """
        before = self._before_it_moved(key, now)
        if before is not None:
            moved = self._streams[before]
            moved.move_to(sender)
            self._streams[key] = moved
            del self._streams[before]
            return moved
        own = [other for other in self._streams if other[0] == key.sender]
        if len(own) >= _MOST_OF_ONE:
            # First those whose sender has not answered: forged ones take the place of none that is heard.
            oldest = min(own, key=lambda other: (self._streams[other].settled, self._heard_at(other)))
            if not self._streams[oldest].settled and now - self._heard_at(oldest) < _ANSWER:
                self.refused += 1  # else any number of forged ones would have an answer sent to that address
                return None
            self.close(oldest, now)
        elif len(self._streams) >= MOST_STREAMS:
            over = [other for other, stream in self._streams.items() if stream.left and stream.complete]
            oldest = min(over or self._streams, key=self._heard_at)
            if not over and now - self._heard_at(oldest) < _FRESH:
                self.refused += 1
                return None
            self.close(oldest, now)
        begin = self._earlier.get(key, 0)
        if not begin and number == 1 and (key.direct or now - self._opened_at >= _LONG_AGO):
            begin = 1
        common = self._options, self._room, self._opened_at, self._random
        incoming = Incoming(key.session, sender, self._events, *common, now, begin)
        self._streams[key] = incoming
        self._earlier.pop(key, None)
        return incoming

    def _before_it_moved(self, key: Key, now: float) -> tuple[Hashable, int, bool] | None:
        """The key of the stream of that session that fell silent at another address; None if there is none."""
        for other, stream in self._streams.items():
            if other[1:] == key[1:] and not stream.left and now - stream.heard_at >= _MOVED:
                return other
        return None

    def close(self, key: tuple[Hashable, int, bool], now: float) -> None:
        """Forget a stream, but for how far it was heard; what is missing is told."""
        incoming = self._streams[key]
        if not incoming.complete:
            incoming.give_up("too many senders", now)
        if incoming.settled:
            self._earlier[key] = incoming.number
            if len(self._earlier) > _REMEMBERED:
                self._earlier.popitem(last=False)
        asked, repaired, holes = incoming.asked, incoming.repaired, incoming.holes
        del self._streams[key]  # no call from here on
        self._asked += asked
        self._repaired += repaired
        self._holes += holes

    def keep_bounded(self, now: float) -> list[Incoming]:
        """Give up what the largest of the streams hold while all hold too much; returns them."""
        given_up: list[Incoming] = []
        while self.buffered > self._most_bytes:
            largest = max(self._streams.values(), key=lambda stream: stream.buffered)
            largest.give_up("too much was waiting for what is missing", now)
            given_up.append(largest)
        return given_up

    def _heard_at(self, key: tuple[Hashable, int, bool]) -> float:
        return self._streams[key].heard_at
