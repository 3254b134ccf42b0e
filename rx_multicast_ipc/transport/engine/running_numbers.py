"""What running numbers tell of messages that did not arrive."""

from __future__ import annotations

from typing import Final

from ...message import Address
from ...strangers.bounded_map import BoundedMap

_MOST_SENDERS: Final = 16_384
"""Senders that are remembered; one that is forgotten begins anew with its next message."""

FIRST: Final = 1
"""The number of the first message to the group, or to an address."""


class RunningNumbers:
    """The last number that was heard of each sender, apart for what went to the group and to one end alone."""

    def __init__(self) -> None:
        self._last: BoundedMap[tuple[Address, bool], int] = BoundedMap(_MOST_SENDERS)
        self._latest: tuple[Address, bool] | None = None

    def missing_before(self, sender: Address, direct: bool, number: int) -> int | None:
        """How many messages are missing between the one before and this one; None if it comes late or twice.

        A late one was told as missing, so it is to be passed over: order is kept, and the count stays right.
        """
        key = sender, direct
        last = self._last.get(key)
        if last is None:
            self._last.use(key, lambda _: number)
            return 0
        if key != self._latest:
            self._last.move_to_end(key)
            self._latest = key
        begins_anew = direct and number == FIRST  # its sender had forgotten this address
        if number <= last and not begins_anew:
            return None
        self._last[key] = number
        return 0 if begins_anew else number - last - 1
