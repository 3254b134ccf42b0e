"""Sessions at addresses where they have yet to show that they are there, and what they said meanwhile. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ...message import Address, Message
from .challenge import NONCE_SIZE
from .session import Session

_MOST: Final = 256
"""Newcomers."""

_MOST_PLACES: Final = 8
"""Addresses at which one session has yet to answer: somebody may pass on its datagrams from elsewhere."""

_MOST_HELD: Final = 1024
"""Datagrams of one newcomer that wait for its answer."""

_MOST_HELD_BYTES: Final = 2 << 20
_MOST_HELD_BYTES_OF_ALL: Final = 16 << 20

Place = tuple[bytes, Address]
"""The prefix of a session, and an address."""


class Claim(NamedTuple):
    """An answer of a session that somebody passes on, which counts only if it is heard in no other way.

    Attributes:
        number: of the datagram that the answer came in.
        first: what the answer says of the numbers that this end is to hear.
        made_at: when.
        rivals: what may be heard in a better way: that session, and another one that showed to be at the address
            itself; and how often each had been heard.
    """

    number: int
    first: int
    made_at: float
    rivals: tuple[tuple[Session, int], ...]


class Newcomer:
    """A session at an address where it has yet to answer.

    Attributes:
        place: which.
        session: the same at all its places.
        challenge: what it is to answer.
        since: when it was heard first.
        due: when it is to be looked at again.
        attempts: how often the challenge was sent.
        asked_at: when it was sent first.
        answered: challenges of its own that were answered.
        heard: packets of it that are not held.
        held: what is to be delivered once it has answered, by whether it was direct, and its number.
        claim: its answer, if somebody passes it on.
    """

    __slots__ = (
        *("answered", "asked_at", "attempts", "challenge", "claim", "due"),
        *("heard", "held", "place", "session", "since", "size"),
    )

    def __init__(self, place: Place, session: Session, challenge: bytes, now: float) -> None:
        self.place = place
        self.session = session
        self.challenge = challenge
        self.since = self.asked_at = self.due = now
        self.attempts = self.answered = self.size = self.heard = 0
        self.held: dict[tuple[bool, int], Message] = {}
        self.claim: Claim | None = None

    @property
    def count(self) -> int:
        """Packets that came of it."""
        return max(1, len(self.held) + self.heard)


class Newcomers:
    """All newcomers of one end: so many at most, and so much of what they said.

    Args:
        random_bytes: as for :class:`OwnSeals`.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._all: dict[Place, Newcomer] = {}
        self._sessions: dict[bytes, Session] = {}
        self._places: Counter[bytes] = Counter()
        self._size = 0

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Newcomer]:
        return iter([*self._all.values()])

    def get(self, place: Place) -> Newcomer | None:
        return self._all.get(place)

    def session(self, prefix: bytes) -> Session | None:
        """The session with a prefix, if it has yet to answer somewhere."""
        return self._sessions.get(prefix)

    def places_of(self, session: Session) -> int:
        """At how many addresses a session has yet to answer."""
        return self._places[session.prefix]

    def has_room(self, session: Session) -> bool:
        """Whether one more place of a session is looked at."""
        return self.places_of(session) < _MOST_PLACES

    @property
    def surplus(self) -> Newcomer | None:
        """Who has to go before another one comes: the oldest, if there are as many as may be."""
        return next(iter(self._all.values())) if len(self._all) >= _MOST else None

    def add(self, place: Place, session: Session, now: float) -> Newcomer:
        new = self._all[place] = Newcomer(place, session, self._random_bytes(NONCE_SIZE), now)
        self._sessions[place[0]] = session
        self._places[place[0]] += 1
        return new

    def drop(self, new: Newcomer) -> None:
        """Forget it, and what it said."""
        del self._all[new.place]
        self._size -= new.size
        self._places[new.place[0]] -= 1
        if not self._places[new.place[0]]:
            del self._places[new.place[0]], self._sessions[new.place[0]]

    def hold(self, new: Newcomer, message: Message, number: int) -> bool:
        """Keep what it said; False if that is too much."""
        size = len(message.data)
        if (
            len(new.held) >= _MOST_HELD
            or new.size + size > _MOST_HELD_BYTES
            or self._size + size > _MOST_HELD_BYTES_OF_ALL
        ):
            return False
        new.held[message.direct, number] = message
        new.size += size
        self._size += size
        return True

    def timer(self) -> float:
        """When somebody is due; infinity for never."""
        return min([new.due for new in self._all.values()], default=math.inf)
