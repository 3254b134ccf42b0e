"""This package: a pipeline into ``broadcast_all(linger=)``, to ``filter``, ``map`` and a subscriber."""

from __future__ import annotations

import time
from itertools import repeat
from typing import Any

import reactivex as rx
from reactivex.subject import Subject

import rx_multicast_ipc as ipc

from . import ours
from .base import paced

LINGER = 0.001


class Sender(ours.Sender):
    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        if rate is None:
            started = time.perf_counter()
            ipc.run(self._channel.broadcast_all(rx.from_iterable(repeat(payload, count)), linger=LINGER))
            return time.perf_counter() - started
        pushed: Subject[Any] = Subject()
        self._channel.broadcast_all(pushed, linger=LINGER).subscribe()
        seconds = paced(lambda number: [pushed.on_next(payload) for _ in range(number)], count, rate)
        pushed.on_completed()
        return seconds


Receiver = ours.Receiver

__all__ = ["Receiver", "Sender"]
