"""Sessions at addresses where they have yet to prove to be, and what they sent meanwhile. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Final, NamedTuple

from ...message import Address, Message
from .challenge_packet import NONCE_SIZE
from .session import Session

_MOST: Final = 256
"""Newcomers."""

_MOST_ADDRESSES: Final = 8
"""Addresses at which one session has yet to answer: somebody may relay its datagrams from elsewhere."""

_MOST_HELD: Final = 1024
"""Datagrams of one newcomer that wait for its answer."""

_MOST_HELD_BYTES: Final = 2 << 20
_MOST_HELD_BYTES_OF_ALL: Final = 16 << 20


class Claim(NamedTuple):
    """The answer of a session that is relayed, which counts only if the session is reached on no better path.

    Attributes:
        number: of the datagram that the answer came in.
        first: what the answer says of the numbers that this end is to hear.
        made_at: when.
        rivals: what may be on a better path: that session at its other addresses, and another one that has proved to
            have this address itself; and how often each had been heard.
    """

    number: int
    first: int
    made_at: float
    rivals: tuple[tuple[Session, int], ...]


class Newcomer:
    """A session at an address where it has yet to answer.

    Attributes:
        address: which.
        session: the same record at all its addresses.
        challenge: what it is to answer.
        since: when it was heard first.
        due: when it is to be looked at again.
        attempts: how often the challenge was sent.
        asked_at: when it was sent first.
        answered: challenges of its own that were answered.
        heard: packets of it that are not held.
        held: what is to be delivered once it has answered, by whether it was direct, and its number.
        size: bytes of that.
        claim: its answer, if somebody passes it on.
    """

    __slots__ = (
        *("address", "answered", "asked_at", "attempts", "challenge", "claim", "due"),
        *("heard", "held", "session", "since", "size"),
    )

    def __init__(self, address: Address, session: Session, challenge: bytes, now: float) -> None:
        self.address = address
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
    """All newcomers of one end: so many at most, and so much of what they sent.

    Args:
        random_bytes: as for :class:`OwnSessions`.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._all: dict[bytes, dict[Address, Newcomer]] = {}  # by the prefix of their session

    def __len__(self) -> int:
        return sum(map(len, self._all.values())) if self._all else 0

    def __iter__(self) -> Iterator[Newcomer]:
        return iter([new for some in self._all.values() for new in some.values()])

    @property
    def size(self) -> int:
        """Bytes of all that is held."""
        return sum([new.size for new in self])

    def get(self, session: Session, address: Address) -> Newcomer | None:
        return self._all.get(session.prefix, _NONE).get(address)

    def session(self, prefix: bytes) -> Session | None:
        """The session with a prefix, if it has yet to answer somewhere."""
        return next((new.session for new in self._all.get(prefix, _NONE).values()), None)

    def addresses_of(self, session: Session) -> int:
        """At how many addresses a session has yet to answer."""
        return len(self._all.get(session.prefix, _NONE))

    def has_room(self, session: Session) -> bool:
        """Whether one more address of a session is looked at."""
        return self.addresses_of(session) < _MOST_ADDRESSES

    @property
    def surplus(self) -> Newcomer | None:
        """Who has to go before another one comes: the oldest, if there are as many as may be."""
        return min(self, key=_since) if len(self) >= _MOST else None

    def add(self, session: Session, address: Address, now: float) -> Newcomer:
        new = Newcomer(address, session, self._random_bytes(NONCE_SIZE), now)
        others = self._all.get(session.prefix, _NONE)
        self._all[session.prefix] = {**others, address: new}
        return new

    def drop(self, new: Newcomer) -> None:
        """Forget it, and what it sent."""
        prefix = new.session.prefix
        others = {address: other for address, other in self._all[prefix].items() if other is not new}
        if others:
            self._all[prefix] = others
        else:
            del self._all[prefix]

    def hold(self, new: Newcomer, message: Message, number: int) -> bool:
        """Keep what it sent; False if that is too much."""
        size = len(message.data)
        if (
            len(new.held) >= _MOST_HELD
            or new.size + size > _MOST_HELD_BYTES
            or self.size + size > _MOST_HELD_BYTES_OF_ALL
        ):
            return False
        new.held[message.direct, number] = message
        new.size += size
        return True

    def timer(self) -> float:
        """When somebody is due; infinity for never."""
        return min([new.due for new in self], default=math.inf)


_NONE: Final[dict[Address, Newcomer]] = {}

_since = attrgetter("since")
