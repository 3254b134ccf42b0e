"""Payloads that wait a moment for more, to leave in few system calls."""

from __future__ import annotations

from threading import Lock
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
        self._waits = Lock()  # acquired without waiting, for a signal handler may be the source
        self.timer = SerialDisposable()

    def wake(self) -> None:
        transfer = self._transfer
        if transfer.ends or transfer.arrived >= _TOGETHER:
            transfer.go_on()
        elif self._waits.acquire(blocking=False):
            self.timer.disposable = self._scheduler.schedule_relative(self._seconds, self._send)

    def _send(self, _scheduler: object, _state: object) -> None:
        self._waits.release()
        self._transfer.go_on()
