"""Payloads at a steady rate."""

from __future__ import annotations

from threading import RLock
from typing import Final

from reactivex.disposable import SerialDisposable, SingleAssignmentDisposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..channel_scheduler import clock_of
from ..errors import ChannelClosed
from .transfer import Transfer

_SHORTEST_PAUSE: Final = 0.001
"""Seconds: a faster rate sends several datagrams after each pause."""

_MOST_AT_ONCE: Final = 1 << 20
"""Payloads in one turn, whatever the rate."""

_MOST_CREDIT: Final = 0.01
"""Seconds of being late that a paced transfer catches up with; what is beyond is not made up for."""


class Pace:
    """Has a transfer send at a steady rate, on a scheduler, and sleeps while there is nothing to send.

    Args:
        transfer: sends.
        rate: datagrams a second.
        scheduler: where.
    """

    counts = True
    together = 0

    def __init__(self, transfer: Transfer, rate: float, scheduler: PeriodicScheduler) -> None:
        self._transfer = transfer
        self._rate = rate
        self._scheduler = scheduler
        self.timer = SerialDisposable()
        self._now = clock_of(scheduler)
        self._next = self._now()
        self._gate = RLock()  # a signal handler may wake it too
        self._awake = False

    def wake(self) -> None:
        """See to it that there is a next tick."""
        if not self._awake:
            with self._gate:
                if not self._awake:
                    now = self._now()
                    self._next = max(self._next, now)  # time without anything to send is not made up for
                    self._tick_in(self._next - now)
                    self._awake = True  # last: a signal handler that raises before leaves a tick too many, never none

    def _tick_in(self, seconds: float) -> None:
        self.timer.disposable = timer = SingleAssignmentDisposable()  # in its place before it can run
        timer.disposable = self._scheduler.schedule_relative(max(0.0, seconds), self._tick)

    def _tick(self, _scheduler: object, _state: object) -> None:
        goes_on = False
        try:
            pause = self._send_due()
            if pause is not None:
                self._tick_in(pause)
                goes_on = True
        finally:
            if not goes_on:
                with self._gate:
                    self._awake = False
        if not goes_on and self._transfer.pending:  # arrived since it was looked at
            self.wake()

    def _send_due(self) -> float | None:
        """Send what is due; seconds until more is, or None if nothing is there."""
        transfer = self._transfer
        if transfer.over:
            return None
        if transfer.transport.closed:
            transfer.fail(ChannelClosed())
            return None
        if transfer.waiting:
            return _SHORTEST_PAUSE
        now = self._now()
        since = max(self._next, now - _MOST_CREDIT)
        # Virtual clocks count whole microseconds.
        due = max(1, 1 + int(min((now - since) * self._rate + 1e-6, _MOST_AT_ONCE)))
        before = transfer.sent
        transfer.go_on(due)
        self._next = since + (transfer.sent - before) / self._rate
        if transfer.pending or transfer.pulls or transfer.waiting:
            return max(self._next - now, _SHORTEST_PAUSE)
        return None
