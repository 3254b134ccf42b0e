"""How costs grow: with subscribers, operators, receiving processes, channels, and messages that pass through.

``python -m benchmarks.growth NAME SIZE CORE`` measures one point in a process of its own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from itertools import count

from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.receiving.hot_source import HotSource

from .contenders import raw
from .memory import peak
from .throughput import Link
from .workers import Worker

POINTS = {
    "subscribers": (1, 2, 4, 8, 16, 32, 64),
    "operators": (1, 2, 4, 8),
    "channels": (1, 4, 16, 64, 256),
    "backlog": (1, 1024, 65_536),
    "passing": (100_000, 300_000, 1_000_000),
}
PROCESSES = (1, 2, 4, 8, 16)

_ports = count(50_100)


def emit(build: Callable[[HotSource[ipc.Message]], None]) -> float:
    """Nanoseconds a message to deliver what was read."""
    source: HotSource[ipc.Message] = HotSource(lambda: None)
    build(source)
    batch = [ipc.Message(bytes(64), "127.0.0.1", 1)] * 64
    turns = 2000
    started = time.process_time()
    for _ in range(turns):
        source.emit(batch)
    return (time.process_time() - started) / turns / len(batch) * 1e9


def subscribers(number: int) -> float:
    def build(source: HotSource[ipc.Message]) -> None:
        for _ in range(number):
            source.subscribe(lambda _: None)

    return emit(build)


def operators(number: int) -> float:
    def build(source: HotSource[ipc.Message]) -> None:
        source.pipe(*[ops.map(lambda m: m) for _ in range(number)]).subscribe()  # pyright: ignore

    return emit(build)


def channels(number: int) -> float:
    """Microseconds to open one, of so many open at once, each with a group of its own."""
    port = next(_ports)
    ipc.open_channel(port).close()  # which loads what opening takes
    started = time.perf_counter()
    opened = [ipc.open_channel(port, f"224.0.3.{index % 250 + 1}", receive_buffer=65_536) for index in range(number)]
    seconds = time.perf_counter() - started
    for channel in opened:
        channel.close()
    return seconds / number * 1e6


def backlog(number: int) -> float:
    """Nanoseconds a message to keep it for a wait that never comes."""
    with ipc.open_channel(next(_ports), raw.GROUP, backlog=number) as channel:
        batch = [ipc.Message(bytes(64), "127.0.0.1", 1)] * 64
        put = channel._inbox.backlog.put  # pyright: ignore
        started = time.process_time()
        for _ in range(4000):
            put(batch)
        return (time.process_time() - started) / 4000 / 64 * 1e9


def passing(number: int) -> float:
    """KiB that the process grows by while so many messages pass through it."""
    with ipc.open_channel(next(_ports), raw.GROUP) as channel:
        received = 0

        def on_batch(batch: list[ipc.Message]) -> None:
            nonlocal received
            received += len(batch)

        channel.batches.subscribe(on_batch)
        ipc.run(channel.broadcast_all((bytes(64) for _ in range(5000)), rate=100_000))
        before = peak()
        ipc.run(channel.broadcast_all((bytes(64) for _ in range(number)), rate=400_000))
        return peak() - before


def measure(passes: int) -> dict[str, dict[str, list[float]]]:
    """By what grows, and by how much of it, one value a pass."""
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(passes):
        for name, points in POINTS.items():
            for point in points:
                with Worker("benchmarks.growth", name, point, core=1) as worker:
                    found.setdefault(name, {}).setdefault(str(point), []).append(worker.answer()["value"])
        for number in PROCESSES:
            found.setdefault("processes", {}).setdefault(str(number), []).append(processes(number))
    for name, values in found.items():
        print(name, {point: round(sorted(some)[len(some) // 2], 1) for point, some in values.items()}, flush=True)
    return found


def processes(number: int) -> float:
    """Nanoseconds of the sender's CPU a message, with so many processes that receive it."""
    link = Link("ours")
    port = link.port
    extra = [Worker("benchmarks.worker", "ours_batches", "receive", port, core=1) for _ in range(number - 1)]
    seen = link.probe(64, 20_000, 20_000)
    link.close()
    for worker in extra:
        worker.close()
    return seen["send_ns"]


def main() -> None:
    name, point, core = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, {core})
    print(json.dumps({"ready": True}), flush=True)
    print(json.dumps({"value": globals()[name](point)}), flush=True)


if __name__ == "__main__":
    main()
