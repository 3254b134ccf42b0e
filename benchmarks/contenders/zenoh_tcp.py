"""Zenoh: a publisher to a subscriber over TCP on loopback, blocking instead of dropping; no scouting."""

from __future__ import annotations

import zenoh

from .base import paced


def session(mode: str, endpoint: str) -> zenoh.Session:
    config = zenoh.Config()
    config.insert_json5("mode", '"peer"')
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5(f"{mode}/endpoints", f'["{endpoint}"]')
    if mode == "connect":
        config.insert_json5("listen/endpoints", "[]")
    return zenoh.open(config)


class Sender:
    def __init__(self, port: int) -> None:
        self._session = session("listen", f"tcp/127.0.0.1:{port}")
        self._publisher = self._session.declare_publisher("bench", congestion_control=zenoh.CongestionControl.BLOCK)

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        put = self._publisher.put

        def burst(number: int) -> None:
            for _ in range(number):
                put(payload)

        return paced(burst, count, rate)

    def close(self) -> None:
        self._session.close()


class Receiver:
    def __init__(self, port: int) -> None:
        self.count = 0
        self._session = session("connect", f"tcp/127.0.0.1:{port}")
        self._subscriber = self._session.declare_subscriber("bench", self._on_sample)

    def _on_sample(self, _: zenoh.Sample) -> None:
        self.count += 1

    def close(self) -> None:
        self._session.close()
