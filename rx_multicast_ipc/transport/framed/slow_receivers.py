"""Patience with slow receivers: they are waited for, and then left behind until they have caught up. Pure."""

from __future__ import annotations

from .stream_receivers import Member, Members


class SlowReceivers:
    """The receivers of one stream that may hold it up, and for how long.

    Args:
        receivers: of the stream.
        patience: seconds without progress, after which those that hold the stream up are left behind.
        now: seconds.
    """

    def __init__(self, receivers: Members, patience: float, now: float) -> None:
        self._receivers = receivers
        self._patience = patience
        self._progress_at = now

    def due(self, full_since: float) -> float:
        """When patience ends, if nothing goes on until then.

        Args:
            full_since: since when there has been no place for another packet; infinity if there is.
        """
        return max(self._progress_at, full_since) + self._patience

    def on_progress(self, now: float) -> None:
        """A receiver has more than before."""
        self._progress_at = now

    def judge(self, receiver: Member, oldest: int, caught_up: int) -> None:
        """Whether one that said what it has is waited for from now on.

        Args:
            receiver: which.
            oldest: the oldest number that can be repeated; whoever lacks an older one is not waited for.
            caught_up: the number that one who was left behind is to know of, to be waited for again.
        """
        if receiver.number < oldest:
            self._receivers.wait_for(receiver, False)
        elif receiver.behind and receiver.highest >= caught_up:
            self._receivers.wait_for(receiver, True)

    def leave_behind(self, full_since: float, now: float) -> bool:
        """Wait no more for those that hold the stream up, if patience has ended; whether there were any."""
        if now < self.due(full_since):
            return False
        receivers = self._receivers
        left = 0 if receivers.floor is None else receivers.leave_behind(receivers.floor, receivers.seen)
        self._progress_at = now
        return left > 0
