"""Zenoh over TCP on loopback, from a publisher to a subscriber: blocks instead of dropping; no shared memory."""

from __future__ import annotations

import zenoh

from .base import paced


def session(mode: str, endpoint: str, *, shared_memory: bool) -> zenoh.Session:
    """Zenoh has shared memory on unless told otherwise, and uses it for payloads from 3072 bytes up."""
    config = zenoh.Config()
    config.insert_json5("transport/shared_memory/enabled", "true" if shared_memory else "false")
    config.insert_json5("mode", '"peer"')
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5(f"{mode}/endpoints", f'["{endpoint}"]')
    if mode == "connect":
        config.insert_json5("listen/endpoints", "[]")
    return zenoh.open(config)


class Sender:
    shared_memory = False

    def __init__(self, port: int) -> None:
        self._session = session("listen", f"tcp/127.0.0.1:{port}", shared_memory=self.shared_memory)
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
    shared_memory = False

    def __init__(self, port: int) -> None:
        self.count = 0
        self._session = session("connect", f"tcp/127.0.0.1:{port}", shared_memory=self.shared_memory)
        self._subscriber = self._session.declare_subscriber("bench", self._on_sample)

    def _on_sample(self, _: zenoh.Sample) -> None:
        self.count += 1

    def close(self) -> None:
        self._session.close()
