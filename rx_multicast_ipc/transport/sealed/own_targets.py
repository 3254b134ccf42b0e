"""What is sealed for this end alone: for one of its seals, or for one of its addresses. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ...message import Address, Message
from .challenge import LONGEST_PLACE
from .envelope import Opener, end_text
from .own_seals import OwnSeals


class OwnTargets:
    """Opens datagrams, whatever name of this end they are sealed for.

    Args:
        seals: of this end.
        own_addresses: gives its addresses, which may change.
    """

    def __init__(self, seals: OwnSeals, own_addresses: Callable[[], frozenset[Address]]) -> None:
        self._seals = seals
        self._own_addresses = own_addresses
        self._addresses: frozenset[Address] | None = None
        self._places: frozenset[bytes] = frozenset()
        self._all: list[bytes] = []

    def renew(self) -> None:
        """There is another seal."""
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

    def is_place(self, text: bytes) -> bool:
        """Whether a place, as challenges tell it, is this end's own."""
        self._current()
        return text in self._places

    def _current(self) -> list[bytes]:
        own = self._own_addresses()
        if own != self._addresses:
            self._addresses = own
            texts = [*map(end_text, own)]
            self._places = frozenset(text[:LONGEST_PLACE] for text in texts)
            self._all = [*self._seals.prefixes, *texts]
        return self._all
