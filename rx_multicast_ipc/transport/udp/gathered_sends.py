"""Sends to a group that wait for each other while a batch of messages is delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from ...errors import SendFailed
from ...subscribing.subscriber_errors import report
from ..delivered_batch import NOBODY_LOOKS, Gathered

_MOST: Final = 64
"""As many as one UDP_SEGMENT send takes."""

Told = list[Callable[[], None]]
"""What is to be told once the sender's lock is free."""


class GatheredSends:
    """First in, first out; all of it is used with the sender's lock held.

    Attributes:
        waiting: what waits, and whose it is. Whether there is any may be looked at without the lock.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Gathered]] = []

    @property
    def is_full(self) -> bool:
        """Whether it is time to send."""
        return len(self.waiting) >= _MOST

    def add(self, payload: bytes, whose: Gathered) -> None:
        """Have ``payload`` wait."""
        self.waiting.append((payload, whose))

    def clear(self) -> None:
        """Let go of all that waits, and tell nobody."""
        self.waiting.clear()

    def refuse(self, error: Callable[[], Exception]) -> Told:
        """Let go of all that waits, each with an error of its own."""
        waiting, self.waiting = self.waiting, []
        return [partial(whose.was_refused, error()) for whose in dict.fromkeys(whose for _, whose in waiting)]

    def send(self, send_many: Callable[[Sequence[bytes]], int], send_one: Callable[[bytes], None]) -> Told:
        """Send all, or what the buffer takes; the rest waits on.

        Args:
            send_many: sends to the group, and returns how many went before one that did not.
            send_one: sends that one, or raises ``BlockingIOError`` where the buffer is full, or ``SendFailed``.
        """
        waiting, self.waiting = self.waiting, []  # for a signal handler may send while this does
        told: Told = []
        try:
            while waiting:
                done = send_many([payload for payload, _ in waiting])
                for whose, count in Counter(whose for _, whose in waiting[:done]).items():
                    whose.went(count)
                del waiting[:done]
                if not waiting:
                    break
                payload, whose = waiting[0]
                try:
                    send_one(payload)
                    whose.went(1)
                except SendFailed as error:
                    told.append(partial(whose.was_refused, error))
                    if whose is not NOBODY_LOOKS:
                        waiting[1:] = [one for one in waiting[1:] if one[1] is not whose]
                del waiting[0]
        except BlockingIOError:
            pass
        finally:
            self.waiting[:0] = waiting
        return told


def tell(told: Told) -> None:
    """Tell all, without the lock."""
    for one in told:
        try:
            one()
        except BaseException as error:  # which is another's than the caller's
            report(error)
