"""LCM over UDP multicast, TTL 0."""

from __future__ import annotations

import threading

import lcm

from .base import paced


def open_lcm(port: int) -> lcm.LCM:
    return lcm.LCM(f"udpm://239.255.76.67:{port}?ttl=0&recv_buf_size=4194304")


class Sender:
    def __init__(self, port: int) -> None:
        self._lcm = open_lcm(port)

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        publish = self._lcm.publish

        def burst(number: int) -> None:
            for _ in range(number):
                publish("bench", payload)

        return paced(burst, count, rate)

    def close(self) -> None:
        pass


class Receiver:
    def __init__(self, port: int) -> None:
        self.count = 0
        self._lcm = open_lcm(port)
        self._lcm.subscribe("bench", self._on_message).set_queue_capacity(0)
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while True:
            self._lcm.handle()

    def _on_message(self, _channel: str, _data: bytes) -> None:
        self.count += 1

    def close(self) -> None:
        pass
