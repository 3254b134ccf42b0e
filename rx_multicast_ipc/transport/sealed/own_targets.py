"""What is sealed for this end alone: for one of its sessions, or for one of its addresses. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ...message import Address, Message
from .challenge_packet import LONGEST_SEEN_AT
from .own_sessions import OwnSessions
from .packet_cipher import Opener, end_text


class OwnTargets:
    """Opens datagrams, whichever session or address of this end they are sealed for.

    Args:
        sessions: of this end.
        own_addresses: gives its addresses, which may change.
    """

    def __init__(self, sessions: OwnSessions, own_addresses: Callable[[], frozenset[Address]]) -> None:
        self._sessions = sessions
        self._own_addresses = own_addresses
        self._addresses: frozenset[Address] | None = None
        self._texts: frozenset[bytes] = frozenset()
        self._all: list[bytes] = []

    def renew(self) -> None:
        """There is another session."""
        self._addresses = None

    def open(self, opener: Opener, datagram: Message) -> tuple[bytes | None, bytes]:
        """The packet in a datagram and the target that it was sealed for; None, and nothing, if it does not open."""
        if not datagram.direct:
            return opener.open(datagram.data), b""
        targets = self._current()
        for place, target in enumerate(targets):
            packet = opener.open(datagram.data, target)
            if packet is not None:
                if place:  # the next ones are for it, too
                    targets.insert(0, targets.pop(place))
                return packet, target
        return None, b""

    def is_own_address(self, text: bytes) -> bool:
        """Whether an address, as challenges tell it, is this end's own."""
        self._current()
        return text in self._texts

    def _current(self) -> list[bytes]:
        own = self._own_addresses()
        if own != self._addresses:
            self._addresses = own
            texts = [*map(end_text, own)]
            self._texts = frozenset(text[:LONGEST_SEEN_AT] for text in texts)
            self._all = [*self._sessions.prefixes, *texts]
        return self._all
