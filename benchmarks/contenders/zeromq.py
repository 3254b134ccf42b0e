"""ZeroMQ: PUB to SUB over TCP on loopback, without high-water marks, so that nothing is dropped."""

from __future__ import annotations

import threading

import zmq

from .base import paced


class Sender:
    def __init__(self, port: int) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.set_hwm(0)
        self._socket.bind(f"tcp://127.0.0.1:{port}")

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        send = self._socket.send

        def burst(number: int) -> None:
            for _ in range(number):
                send(payload)

        return paced(burst, count, rate)

    def close(self) -> None:
        self._context.destroy(linger=0)


class Receiver:
    def __init__(self, port: int) -> None:
        self.count = 0
        self._socket = zmq.Context().socket(zmq.SUB)
        self._socket.set_hwm(0)
        self._socket.connect(f"tcp://127.0.0.1:{port}")
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        receive = self._socket.recv
        while True:
            receive()
            self.count += 1

    def close(self) -> None:
        pass
