"""What a bridge that stands by has heard lately, and what of it nobody carried."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from ..message import Address

MOST: Final = 65_536
"""Messages that are remembered."""


class _Heard(NamedTuple):
    at: float
    side: int
    sender: Address
    payload: int
    """Its hash."""


class Uncarried:
    """A log of both sides. Which messages are copies is decided at the end: it may become known after they were heard.

    Args:
        window: seconds; what is older does not count.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._log: deque[_Heard] = deque(maxlen=MOST)

    def hear(self, side: int, sender: Address, payloads: Iterable[bytes], now: float) -> None:
        """Messages of one sender to the group on one side, carried ones among them."""
        log = self._log
        log.extend([_Heard(now, side, sender, hash(payload)) for payload in payloads])
        while log and now - log[0].at > 2 * self._window:
            log.popleft()

    def count(self, is_copy: Callable[[int, Address], bool], now: float) -> int:
        """Messages of which there is no copy on the other side.

        Args:
            is_copy: whether the messages of a sender on one side are copies of messages of the other side.
            now: seconds.
        """
        copies: Counter[tuple[int, int]] = Counter()
        messages: Counter[tuple[int, int]] = Counter()
        for at, side, sender, payload in self._log:
            if is_copy(side, sender):
                copies[1 - side, payload] += 1
            elif now - at <= self._window:
                messages[side, payload] += 1
        return (messages - copies).total()

    def clear(self) -> None:
        """Begin anew."""
        self._log.clear()
