"""What is sealed for this end alone: for one of its sessions, or for one of its addresses. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ...message import Address, Message
from .challenge_packet import LONGEST_SEEN_AT
from .own_sessions import OwnSession, OwnSessions
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
        self._made_for: tuple[frozenset[Address], OwnSession] | None = None
        self._texts: frozenset[bytes] = frozenset()
        self._all: list[bytes] = []

    def open(self, opener: Opener, datagram: Message) -> tuple[bytes | None, bytes]:
        """The packet in a datagram and the target that it was sealed for; None, and nothing, if it does not open."""
        if not datagram.direct:
            return opener.open(datagram.data), b""
        targets = self._current()
        for place, target in enumerate(targets):
            packet = opener.open(datagram.data, target)
            if packet is not None:
                if place:  # the next ones are for it, too
                    self._all = [target, *targets[:place], *targets[place + 1 :]]
                return packet, target
        return None, b""

    def is_own_address(self, text: bytes) -> bool:
        """Whether an address, as challenges tell it, is this end's own."""
        self._current()
        return text in self._texts

    def _current(self) -> list[bytes]:
        made_for = self._own_addresses(), self._sessions.current
        if made_for != self._made_for:
            texts = [*map(end_text, made_for[0])]
            cut = frozenset(text[:LONGEST_SEEN_AT] for text in texts)
            self._all, self._texts, self._made_for = [*self._sessions.prefixes, *texts], cut, made_for
        return self._all
