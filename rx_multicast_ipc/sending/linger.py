"""Payloads that wait a moment for more, to leave in few system calls."""

from __future__ import annotations

from threading import RLock
from typing import Final

from reactivex.disposable import SerialDisposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from .transfer import Transfer

_TOGETHER: Final = 64
"""Payloads that wait for no more: as many as one UDP_SEGMENT send takes."""


class Linger:
    """Has a transfer send what arrived once it is many, or has waited for so long, or nothing more comes.

    Args:
        transfer: sends.
        seconds: that a payload waits at most.
        scheduler: runs the pauses.
    """

    counts = False
    together = _TOGETHER

    def __init__(self, transfer: Transfer, seconds: float, scheduler: PeriodicScheduler) -> None:
        self._transfer = transfer
        self._seconds = seconds
        self._scheduler = scheduler
        self._gate = RLock()  # a signal handler may be the source
        self._waits = False
        self.timer = SerialDisposable()

    def wake(self) -> None:
        transfer = self._transfer
        if transfer.ends or transfer.arrived >= _TOGETHER:
            transfer.go_on()
        elif not self._waits:
            with self._gate:
                if not self._waits:
                    self.timer.disposable = self._scheduler.schedule_relative(self._seconds, self._send)
                    self._waits = True  # last: a signal handler that raises before leaves a timer too many, never none

    def _send(self, _scheduler: object, _state: object) -> None:
        with self._gate:
            self._waits = False
        self._transfer.go_on()
