"""Sends to a group that wait for each other while a batch of messages is delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from ...errors import SendFailed
from ...subscribing.subscriber_errors import is_for_the_caller, report, tell_all
from ..delivered_batch import NOBODY_LOOKS, Gathered
from .batch_sending import SentMany

_MOST: Final = 64
"""As many as one UDP_SEGMENT send takes."""

Told = list[Callable[[], None]]
"""What is to be told once the sender's lock is free."""

SendMany = Callable[[Sequence[bytes], SentMany], object]


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

    def holds(self, whose: Gathered) -> bool:
        """Whether anything waits that is of ``whose``."""
        return any(owner is whose for _, owner in self.waiting)

    def clear(self) -> None:
        """Let go of all that waits, and tell nobody."""
        self.waiting.clear()

    def refuse(self, error: Callable[[], Exception]) -> Told:
        """Let go of all that waits, each with an error of its own."""
        waiting, self.waiting = self.waiting, []
        return [partial(whose.was_refused, error()) for whose in dict.fromkeys(whose for _, whose in waiting)]

    def send(self, send_many: SendMany, send_one: Callable[[bytes], None]) -> Told:
        """Send all, or what the buffer takes; the rest waits on, also where a signal handler raises meanwhile.

        Args:
            send_many: sends to the group, and notes how many went before one that did not.
            send_one: sends that one, or raises ``BlockingIOError`` where the buffer is full, or ``SendFailed``.
        """
        waiting, self.waiting = self.waiting, []  # for a signal handler may send while this does
        told: Told = []
        try:
            while waiting:
                sent = SentMany()
                try:
                    send_many([payload for payload, _ in waiting], sent)
                finally:
                    gone = waiting[: sent.payloads]
                    del waiting[: sent.payloads]
                    for whose, count in Counter(whose for _, whose in gone).items():
                        whose.went(count)
                if not waiting:
                    break
                payload, whose = waiting[0]
                try:
                    send_one(payload)
                except SendFailed as error:
                    told.append(partial(whose.was_refused, error))
                    del waiting[0]
                    if whose is not NOBODY_LOOKS:
                        waiting[:] = [one for one in waiting if one[1] is not whose]
                else:
                    del waiting[0]
                    whose.went(1)
        except BlockingIOError:
            pass
        finally:
            self.waiting[:0] = waiting
        return told


def tell(told: Told) -> None:
    """Tell all, without the lock."""
    tell_all([partial(_tell_one, one) for one in told])


def _tell_one(one: Callable[[], None]) -> None:
    try:
        one()
    except BaseException as error:  # which is another's than the caller's, unless it is Ctrl-C
        if is_for_the_caller(error):
            raise
        report(error)
