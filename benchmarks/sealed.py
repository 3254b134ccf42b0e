"""What a seal costs: ``python -m benchmarks.sealed``. Two processes on loopback, plain and sealed in turns, in one run.

Prints microseconds a message (or a round trip) of both processes' CPU together, and of wall time; the median of the
turns, the ratio of sealed to plain, and the machine's load, without which none of it says much.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing.conformance.transport_rig import free_port

TURNS = 9
SIZE = 100
WINDOW = 200


class Cost(NamedTuple):
    """Microseconds a message."""

    cpu: float
    wall: float


class Pair:
    """A channel here, and one in another process that answers what begins with a question mark."""

    def __init__(self, *, reliable: bool, key: ipc.Key | None) -> None:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.sealed", str(port), str(int(reliable))]
        environment = {**os.environ, "BENCHMARK_KEY": "" if key is None else key.reveal().splitlines()[1]}
        self._other = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        assert self._other.stdout is not None
        self._other.stdout.readline()
        self.channel = ipc.open_channel(port, reliable=reliable, key=key or False, echo=False)
        while True:  # until both know each other
            try:
                self.ask()
                break
            except ipc.MessageTimeout:
                pass

    def ask(self) -> float:
        """Ask the other process for its CPU seconds; returns when it has read all that was said before."""
        return float(ipc.run(self.channel.request("?", lambda message: message.direct, timeout=5.0)).text)

    def measure(self, work: Callable[[Pair], int]) -> Cost:
        others, own, started = self.ask(), time.process_time(), time.perf_counter()
        count = work(self)
        wall = time.perf_counter() - started
        cpu = time.process_time() - own + self.ask() - others
        return Cost(cpu / count * 1e6, wall / count * 1e6)

    def close(self) -> None:
        self.channel.close()
        self._other.kill()
        self._other.wait()


def single(pair: Pair) -> int:
    """One send each, with a question now and then so that nothing overruns."""
    send, payload = pair.channel.transport.send, bytes(SIZE)
    for _ in range(20):
        for _ in range(WINDOW):
            send(payload)
        pair.ask()
    return 20 * WINDOW


def bundled(pair: Pair) -> int:
    """Many at once."""
    for _ in range(20):
        ipc.run(pair.channel.broadcast_all([bytes(SIZE)] * 2000))
        pair.ask()
    return 20 * 2000


def round_trip(pair: Pair) -> int:
    for _ in range(500):
        pair.ask()
    return 500


def answer(port: int, *, reliable: bool) -> None:
    """The other process."""
    text = os.environ["BENCHMARK_KEY"]
    key = ipc.Key.parse(text) if text else False
    with ipc.open_channel(port, reliable=reliable, key=key, echo=False) as channel:
        send = channel.transport.send

        def take(batch: list[ipc.Message]) -> None:
            for message in batch:
                if message.data == b"?":
                    send(b"%.6f" % time.process_time(), message.sender)

        with channel.batches.subscribe(take):
            print("ready", flush=True)
            time.sleep(3600)


def main() -> None:
    key = ipc.Key.new()
    for name, reliable in (("reliable", True), ("without repair", False)):
        pairs = [Pair(reliable=reliable, key=None), Pair(reliable=reliable, key=key)]
        for work in (single, bundled, round_trip):
            costs: list[list[Cost]] = [[], []]
            for turn in range(TURNS):
                for which in (0, 1) if turn % 2 else (1, 0):
                    costs[which].append(pairs[which].measure(work))
            for field, unit in enumerate(("CPU", "wall")):
                plain, sealed = (statistics.median([cost[field] for cost in each]) for each in costs)
                print(
                    f"{name}, {work.__name__}, {unit}: plain {plain:.1f} µs, sealed {sealed:.1f} µs, "
                    f"ratio {sealed / plain:.2f}, load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
        for pair in pairs:
            pair.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        answer(int(sys.argv[1]), reliable=bool(int(sys.argv[2])))
    else:
        main()
