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

SendMany = Callable[[Sequence[bytes], SentMany], object]


class GatheredSends:
    """First in, first out; all of it but :meth:`tell` is used with the sender's lock held.

    Attributes:
        waiting: what waits, and whose it is. Whether there is any may be looked at without the lock.
        untold: what was refused, and whose it was, until they are told.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Gathered]] = []
        self.untold: dict[Exception, Gathered] = {}

    @property
    def is_full(self) -> bool:
        """Whether it is time to send."""
        return len(self.waiting) >= _MOST

    def add(self, payload: bytes, whose: Gathered) -> None:
        """Have ``payload`` wait."""
        self.waiting.append((payload, whose))

    def holds(self, whose: Gathered) -> bool:
        """Whether anything waits that is of ``whose``, or was refused and not told yet."""
        untold = self.untold.copy()  # in one step, for they are told without the lock
        return any(owner is whose for owner in (*untold.values(), *(owner for _, owner in self.waiting)))

    def clear(self) -> None:
        """Let go of all that waits, and tell nobody."""
        self.waiting.clear()
        self.untold.clear()

    def refuse(self, error: Callable[[], Exception]) -> None:
        """Let go of all that waits, each with an error of its own."""
        self.untold.update({error(): whose for whose in dict.fromkeys(whose for _, whose in self.waiting)})
        self.waiting.clear()

    def send(self, send_many: SendMany, send_one: Callable[[bytes, SentMany], None]) -> None:
        """Send all, or what the buffer takes; the rest waits on, also where a signal handler raises meanwhile.

        Args:
            send_many: sends to the group, and notes how many went before one that did not.
            send_one: sends that one and notes it, also where a signal handler raises then; or raises
                ``BlockingIOError`` where the buffer is full, or ``SendFailed``.
        """
        waiting, self.waiting = self.waiting, []  # for a signal handler may send while this does
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
                sent = SentMany()
                try:
                    send_one(payload, sent)
                except SendFailed as error:
                    self.untold[error] = whose
                    del waiting[0]
                    if whose is not NOBODY_LOOKS:
                        waiting[:] = [one for one in waiting if one[1] is not whose]
                finally:
                    if sent.payloads:
                        del waiting[0]
                        whose.went(1)
        except BlockingIOError:
            pass
        finally:
            self.waiting[:0] = waiting

    def tell(self) -> None:
        """Tell those that were refused, without the lock; also whom another thread is about to tell.

        So who finds afterwards that nothing is held of its own has been told.
        """
        tell_all([partial(self._tell_one, error, whose) for error, whose in self.untold.copy().items()])

    def _tell_one(self, error: Exception, whose: Gathered) -> None:
        try:
            if whose is not NOBODY_LOOKS or self.untold.pop(error, None):  # the latter is reported once
                whose.was_refused(error)
        except BaseException as raised:  # which is another's than the caller's, unless it is Ctrl-C
            if is_for_the_caller(raised):
                raise
            report(raised)
        self.untold.pop(error, None)
