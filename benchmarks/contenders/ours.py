"""This package: ``broadcast_all`` to ``filter``, ``map`` and a subscriber."""

from __future__ import annotations

import time
from itertools import repeat

from reactivex import operators as ops

import rx_multicast_ipc as ipc

GROUP = "224.0.2.9"


class Sender:
    def __init__(self, port: int) -> None:
        self._channel = ipc.open_channel(port, GROUP)

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        started = time.perf_counter()
        ipc.run(self._channel.broadcast_all(repeat(payload, count), rate=rate))
        return time.perf_counter() - started

    def close(self) -> None:
        self._channel.close()


class Receiver:
    def __init__(self, port: int) -> None:
        self.count = 0
        self._channel = ipc.open_channel(port, GROUP, backlog=1)
        self.subscribe(self._channel)

    def subscribe(self, channel: ipc.Channel) -> None:
        channel.messages.pipe(ops.filter(lambda m: m.port > 0), ops.map(lambda m: m.data)).subscribe(self.on_next)

    def on_next(self, _: bytes) -> None:
        self.count += 1

    def close(self) -> None:
        self._channel.close()
