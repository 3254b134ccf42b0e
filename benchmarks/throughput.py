"""Zero-loss throughput after RFC 2544: the highest rate at which nothing is lost, for each contender and size."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

from .workers import Worker

SIZES = (16, 64, 1024, 8192, 60_000)
CONTENDERS = (
    *("ours", "ours_batches", "ours_single", "raw", "c", "asyncio_endpoint"),
    *("zeromq", "zenoh_tcp", "zenoh_shared_memory", "nats_core", "cyclonedds_reliable", "iceoryx2_shared_memory"),
    *("lcm_udpm", "node_dgram", "npm_multicast_ipc"),
)
FIRST_RATE = {16: 40_000, 64: 40_000, 1024: 40_000, 8192: 15_000, 60_000: 2_500}
STEP = 1.5
KEPT_UP = 0.93
"""Part of the asked rate that a sender has to reach; below it the sender, not the receiver, is what is measured."""

_ports = count(47_100)


class Link:
    """A sender and a receiver of one contender, on a core each."""

    def __init__(self, name: str, path: str | None = None) -> None:
        self.port = port = next(_ports)
        self._sender = Worker("benchmarks.worker", name, "send", port, core=0, path=path)
        try:
            self._receiver = Worker("benchmarks.worker", name, "receive", port, core=1, path=path)
        except RuntimeError:
            self._sender.close()
            raise
        self._warm_up()

    def _warm_up(self) -> None:
        deadline = time.monotonic() + 5
        while self.probe(16, 200, 2000)["count"] < 200:
            if time.monotonic() > deadline:
                raise RuntimeError("nothing arrives")

    def probe(self, size: int, messages: int, rate: float | None) -> dict[str, Any]:
        """Send so many at this rate, and see what arrived."""
        before = self._receiver.ask(do="start")
        sent = self._sender.ask(size=size, count=messages, rate=rate)
        got = self._receiver.ask(do="stop", expected=messages, limit=10)
        return {
            "count": got["count"],
            "offered": messages / sent["seconds"],
            "delivered": got["count"] / max(1e-9, got["last"] - sent["started"]),
            "receive_ns": (got["cpu"] - before["cpu"]) / max(1, got["count"]) * 1e9,
            "send_ns": sent["cpu"] / messages * 1e9,
        }

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()


def zero_loss(link: Link, size: int, seconds: float) -> float:
    """Messages a second, delivered at the highest rate that lost none."""
    best, low, high = 0.0, 0.0, 0.0
    rate: float = FIRST_RATE[size]
    for _ in range(18):
        messages = max(50, int(rate * seconds))
        seen = link.probe(size, messages, rate)
        if seen["count"] >= messages:
            best, low = max(best, seen["delivered"]), rate
            if seen["offered"] < KEPT_UP * rate:
                break
        else:
            high = rate
        if high and high / max(low, 1) < 1.1:
            break
        rate = (low * high) ** 0.5 if low and high else rate * STEP if not high else rate / STEP
    return best


def measure(
    names: tuple[str, ...], sizes: tuple[int, ...], passes: int, seconds: float, before: str | None
) -> dict[str, dict[str, list[float]]]:
    """Rates by size and contender, one a pass; contenders alternate within a pass."""
    rates: dict[str, dict[str, list[float]]] = {}
    failures: set[str] = set()
    entries = [(name, None) for name in names] + ([("ours", before)] if before else [])
    for turn in range(passes):
        for name, path in entries:
            label = "before" if path else name
            if label in failures:
                continue
            try:
                link = Link(name, path)
            except RuntimeError as error:
                failures.add(label)
                print(f"{label}: not run ({error})", flush=True)
                continue
            try:
                for size in sizes:
                    rate = zero_loss(link, size, seconds)
                    rates.setdefault(str(size), {}).setdefault(label, []).append(rate)
                    print(f"pass {turn + 1}: {label:18} {size:6} B {rate:12,.0f}/s", flush=True)
            except EOFError:
                failures.add(label)
                print(f"{label}: ended early", flush=True)
            finally:
                link.close()
    return rates
