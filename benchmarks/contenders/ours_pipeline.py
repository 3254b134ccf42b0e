"""This package, sent one by one from a pipeline, and received by ``filter``, ``map`` and a subscriber."""

from __future__ import annotations

import time
from itertools import repeat

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from . import ours
from .base import paced


class Sender(ours.Sender):
    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        if rate is None:
            started = time.perf_counter()
            ipc.run(rx.from_iterable(repeat(payload, count)).pipe(ops.flat_map(self._channel.broadcast)))
            return time.perf_counter() - started
        return paced(lambda number: [self._channel.broadcast(payload).subscribe() for _ in range(number)], count, rate)


Receiver = ours.Receiver

__all__ = ["Receiver", "Sender"]
