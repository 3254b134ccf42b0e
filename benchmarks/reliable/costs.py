"""What a reliable channel costs over a raw one where nothing gets lost: in turns, on loopback, in two processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median

import rx_multicast_ipc as ipc

_RAW, _RELIABLE = 61001, 61002
_BURST = 2000
"""Messages that a receive buffer holds, so that raw ones are not lost."""

Cost = tuple[float, float]
"""Microseconds: of time, for round trips the median and else of a message; and of processor in both processes."""


def far() -> None:
    """The other process: answers each message of 64 bytes, counts the others."""
    counts = [0, 0]

    def open_end(index: int) -> ipc.Channel:
        port = (_RAW, _RELIABLE)[index]
        channel = ipc.open_channel(port, reliable=bool(index), echo=False, backlog=1, receive_buffer=64 << 20)

        def hear(batch: list[ipc.Message]) -> None:
            counts[index] += len(batch)
            if len(batch[0].data) == 64:
                for message in batch:
                    channel.broadcast(message.data).subscribe()

        channel.batches.subscribe(hear)
        return channel

    channels = [open_end(index) for index in (0, 1)]
    print("ready", flush=True)
    for _ in sys.stdin:
        print(time.process_time(), *counts, flush=True)
    for channel in channels:
        channel.close()


class _Far:
    """The other process, as it is seen from here."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.reliable.costs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def look(self) -> tuple[float, int, int]:
        """Seconds of processor so far, and messages heard by its raw and its reliable channel."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        cpu, raw, reliable = self._process.stdout.readline().split()
        return float(cpu), int(raw), int(reliable)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _round_trips(channel: ipc.Channel, far: _Far, count: int) -> Cost:
    at: list[float] = []
    over = threading.Event()

    def answer(message: ipc.Message) -> None:
        at.append(time.perf_counter())
        if len(at) <= count:
            channel.broadcast(message.data).subscribe()
        else:
            over.set()

    with channel.messages.subscribe(answer):
        cpu, far_cpu = time.process_time(), far.look()[0]
        channel.broadcast(bytes(64)).subscribe()
        over.wait(60)
    trips = [later - earlier for earlier, later in pairwise(at)]
    return median(trips) * 1e6, (time.process_time() - cpu + far.look()[0] - far_cpu) / count * 1e6


def _bundles(channel: ipc.Channel, far: _Far, count: int, index: int) -> Cost:
    messages = [b"%08d" % number + bytes(92) for number in range(count)]
    before, cpu, begun = far.look(), time.process_time(), time.perf_counter()
    for start in range(0, count, count if index else _BURST):
        ipc.run(channel.broadcast_all(messages[start : start + (count if index else _BURST)]))
    deadline = time.perf_counter() + 10.0
    while far.look()[1 + index] - before[1 + index] < count and time.perf_counter() < deadline:
        time.sleep(0.002)
    seconds, after = time.perf_counter() - begun, far.look()
    return seconds / count * 1e6, (time.process_time() - cpu + after[0] - before[0]) / count * 1e6


def compare_with_raw(rounds: int, scale: float) -> Iterator[str]:
    """Lines that say what both cost, and the ratio."""
    far = _Far()
    raw = ipc.open_channel(_RAW, echo=False, backlog=1)
    reliable = ipc.open_channel(_RELIABLE, reliable=True, echo=False, backlog=1)
    time.sleep(1.0)  # they know each other
    trips, bundles = int(3000 * scale) + 100, int(100_000 * scale) + 1000
    measured: dict[str, Callable[[], list[Cost]]] = {
        "round trip": lambda: [_round_trips(raw, far, trips), _round_trips(reliable, far, trips)],
        "bundled, a message": lambda: [_bundles(raw, far, bundles, 0), _bundles(reliable, far, bundles, 1)],
    }
    for what, measure in measured.items():
        measure()
        costs = [measure() for _ in range(max(3, rounds))]
        times = [median(cost[end][0] for cost in costs) for end in (0, 1)]
        cpus = [median(cost[end][1] for cost in costs) for end in (0, 1)]
        yield (
            f"{what}: raw {times[0]:.2f} us ({cpus[0]:.2f} of CPU), reliable {times[1]:.2f} us ({cpus[1]:.2f} of CPU); "
            f"{times[1] / times[0]:.2f} times raw, {cpus[1] / cpus[0]:.2f} in CPU; "
            f"throughput {times[0] / times[1]:.2f} of raw, {cpus[0] / cpus[1]:.2f} by CPU"
        )
    raw.close()
    reliable.close()
    far.close()


if __name__ == "__main__":
    far()
