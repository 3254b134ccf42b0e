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
    """The last number that was heard of each sender, apart for what is numbered apart.

    That is what goes to the group (False), to one end alone (True), and to one topic (its name), where that is all that
    is heard of the group.
    """

    def __init__(self) -> None:
        self._last: BoundedMap[tuple[Address, bool | bytes], int] = BoundedMap(_MOST_SENDERS)
        self._latest: tuple[Address, bool | bytes] | None = None

    def missing_before(self, sender: Address, stream: bool | bytes, number: int) -> int | None:
        """How many messages are missing between the one before and this one; None if it comes late or twice.

        A late one was told as missing, so it is to be passed over: order is kept, and the count stays right.
        A negative number begins the numbers of its topic anew, with its value, which is higher than those before.
        """
        starts_over = stream is True and number == FIRST  # its sender had forgotten this address
        begins = starts_over or number < 0
        number = abs(number)
        key = sender, stream
        last = self._last.get(key)
        if last is None:
            self._last.use(key, lambda _: number)
            return 0
        if key != self._latest:
            self._last.move_to_end(key)
            self._latest = key
        if number <= last and not starts_over:
            return None
        self._last[key] = number
        return 0 if begins else number - last - 1
