"""This package, where a subscriber sends on what it hears, one ``broadcast`` a message: the batch leaves together."""

from __future__ import annotations

import threading
import time

import rx_multicast_ipc as ipc

from . import ours

BURST = 64


class Sender:
    def __init__(self, port: int) -> None:
        self._heard = 0
        self._expected = 0
        self._done = threading.Event()
        self._out = ipc.open_channel(port, ours.GROUP, echo=False)
        self._source = ipc.open_channel(port, "224.0.2.10", backlog=1)
        self._source.messages.subscribe(self._forward)

    def _forward(self, message: ipc.Message) -> None:
        self._out.broadcast(message.data).subscribe()
        self._heard += 1
        if self._heard == self._expected:
            self._done.set()

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        """In bursts of 64, each sent on before the next one comes."""
        started = time.perf_counter()
        for first in range(0, count, BURST):
            number = min(BURST, count - first)
            self._done.clear()
            self._expected = self._heard + number
            ipc.run(self._source.broadcast_all([payload] * number))
            self._done.wait()
        return time.perf_counter() - started

    def close(self) -> None:
        self._source.close()
        self._out.close()


Receiver = ours.Receiver

__all__ = ["Receiver", "Sender"]
