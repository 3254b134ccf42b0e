"""A wall clock that steps, as NTP or a resumed virtual machine makes it; the monotonic clock goes on."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest


class WallClock:
    """Stands in for the process's wall clock while a test runs."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._offset = 0.0
        seconds, nanoseconds = time.time, time.time_ns
        patch.setattr("time.time", lambda: seconds() + self._offset)
        patch.setattr("time.time_ns", lambda: nanoseconds() + int(self._offset * 1e9))
        for where in ("reactivex.internal.basic", "reactivex.scheduler.scheduler"):
            patch.setattr(f"{where}.default_now", lambda: datetime.fromtimestamp(time.time(), UTC))

    def step(self, seconds: float) -> None:
        self._offset += seconds
