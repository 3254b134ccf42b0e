"""Sessions that have proved to be there: by the prefix of their datagrams, and by the address they are at. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ...message import Address
from ...option_values.key import Key
from ...strangers.bounded_map import BoundedMap
from .session import Session

_MOST_SESSIONS: Final = 1024
"""Sessions that are known; one that is forgotten has to prove itself again."""

_MOST_ADDRESSES: Final = 4096
"""Addresses of which it is known which session is there."""


class KnownSessions:
    """What one end knows of the others.

    Args:
        now: since when the end has listened, in seconds.

    Attributes:
        by_prefix: the sessions, those heard last at the back.
        listens_since: since when nothing was forgotten: what was sent before must not be heard again.
    """

    def __init__(self, now: float) -> None:
        self.by_prefix: BoundedMap[bytes, Session] = BoundedMap(_MOST_SESSIONS)
        self.listens_since = now
        self._at: BoundedMap[Address, Session] = BoundedMap(_MOST_ADDRESSES)
        self._forgotten = 0

    def at(self, address: Address) -> Session | None:
        """The session that proved last to be at an address."""
        return self._at.get(address)

    def add(self, session: Session, address: Address, now: float, *, relayed: bool) -> None:
        """A session has proved to be at an address, itself or through a relay."""
        session.is_at(address, relayed=relayed)
        self.use(session)
        if self.by_prefix.forgotten > self._forgotten:
            self._forgotten = self.by_prefix.forgotten
            self.listens_since = now
        self._at.use(address, lambda _: session)
        self._at[address] = session

    def use(self, session: Session) -> None:
        """It was heard: others are forgotten before it."""
        self.by_prefix.use(session.prefix, lambda _: session)

    def keep(self, keys: Iterable[Key]) -> None:
        """Forget the sessions that were sealed with other keys than these."""
        for prefix in [prefix for prefix, session in self.by_prefix.items() if session.opener.key not in keys]:
            del self.by_prefix[prefix]
