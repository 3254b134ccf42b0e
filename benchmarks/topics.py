"""What a message costs a process that listens to one topic, and to a thousand: ``python -m benchmarks.topics``.

Passes alternate, and a ratio is that of a pair. *Of a message*: the receiving process's CPU, reading and decoding
included, at 10 000 messages a second over loopback. Beside topics are measured a filter for each, which is what one
look-up saves; and a bare dict, where each name stands for the ``append`` of a list of its own: the least that a look-up
costs where the names come in turns, for then each finds its part of memory outside of the processor's cache. *Of
routing alone*: the same two, handed batches in this process.
``python -m benchmarks.topics receive KIND TOPICS PORT CORE`` is the process that is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Any

import msgspec
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from .contenders import raw
from .workers import Worker

RATE = 10_000
SECONDS = 2
PASSES = 5
TOPICS = 1000

_ports = count(52_100)


class Pose(msgspec.Struct):
    x: float
    y: float


SIZE_OF_BATCH = 16
"""Messages that are handed to a channel at once, as a read brings them."""


def names(number: int) -> list[str]:
    return [f"robot/{index:04}/pose" for index in range(number)]


def measure(kind: str, topics: int, spoken_to: int, messages: int = RATE * SECONDS) -> float:
    """Microseconds of CPU a message, in a process that listens to so many topics while some of them are spoken to."""
    port = next(_ports)
    with Worker("benchmarks.topics", "receive", kind, topics, port, core=1) as worker:
        with ipc.open_channel(port, raw.GROUP, echo=False) as channel:
            published = [channel.topic(name, Pose) for name in names(spoken_to)]
            payloads = (published[index * 7919 % spoken_to].encode(Pose(1.5, index)) for index in range(messages))
            ipc.run(channel.broadcast_all(payloads, rate=RATE))
            ipc.run(channel.broadcast("end"))
        return worker.answer()["microseconds"]


def receive(kind: str, topics: int, port: int) -> None:
    seen = 0

    def count_it(_: Pose) -> None:
        nonlocal seen
        seen += 1

    with ipc.open_channel(port, raw.GROUP) as channel:
        if kind == "dict":
            channel.batches.subscribe(bare_dict(topics))
        for name in names(topics if kind != "dict" else 0):
            if kind == "topics":
                channel.topic(name, Pose).stream.subscribe(count_it)
            else:
                prefix = name.encode() + b"\0"
                chosen = channel.messages.pipe(
                    ops.filter(lambda m, prefix=prefix: m.data.startswith(prefix)),
                    ipc.operators.decode(lambda data, prefix=prefix: decoder.decode(data[len(prefix) :])),
                )
                chosen.subscribe(count_it)
        print(json.dumps({"ready": True}), flush=True)
        ipc.run(channel.wait_for_message())
        started = time.process_time()
        ipc.run(channel.wait_for_message(lambda m: m.data == b"end"))
        spent = time.process_time() - started
        heard = seen or channel.statistics.received
    print(json.dumps({"microseconds": spent / heard * 1e6}), flush=True)


decoder = msgspec.json.Decoder(Pose)


def bare_dict(number: int) -> Callable[[list[ipc.Message]], None]:
    """The least that looks up names: each stands for the ``append`` of a list of its own."""
    appends: dict[bytes, Callable[[bytes], None]] = {name.encode(): list[bytes]().append for name in names(number)}

    def deliver(batch: list[ipc.Message]) -> None:
        for message in batch:
            data = message.data
            append = appends.get(data[: data.find(0)])
            if append is not None:
                append(data)

    return deliver


def routing(kind: str, topics: int, spoken_to: int) -> float:
    """Microseconds of CPU a message, of what is handed messages for so many of its topics in turns."""
    if kind == "dict":
        return time_of_batches(bare_dict(topics), spoken_to)
    with ipc.open_channel(next(_ports), raw.GROUP) as channel:
        for name in names(topics):
            channel.topic(name, Pose).stream.subscribe(forget)
        transport: Any = channel.transport
        return time_of_batches(transport._deliver, spoken_to)


def forget(_: Pose) -> None:
    """What each topic's subscriber does."""


def time_of_batches(deliver: Callable[[list[ipc.Message]], None], spoken_to: int) -> float:
    chosen = [name.encode() + b'\0{"x":1.5,"y":2.5}' for name in names(spoken_to)]
    payloads = [chosen[index * 7919 % spoken_to] for index in range(RATE)]
    spent = 0.0
    for _ in range(2):  # the first time finds the routes
        started = time.thread_time()
        for start in range(0, RATE, SIZE_OF_BATCH):
            # A copy of each payload, as a read makes one.
            read = [bytes(memoryview(payload)) for payload in payloads[start : start + SIZE_OF_BATCH]]
            deliver([ipc.Message(data, "127.0.0.1", 5000) for data in read])
        spent = time.thread_time() - started
    return spent / RATE * 1e6


def compare(what: str, kind: str, passes: int, cost: Callable[[str, int, int], float]) -> None:
    """Print what a message costs with one topic, with many of which one is spoken to, and with all in turns."""
    one = f"1 {what}"
    points = {
        one: (1, 1),
        f"{TOPICS} {what}, 1 spoken to": (TOPICS, 1),
        f"{TOPICS} {what}, all in turns": (TOPICS, TOPICS),
    }
    found: dict[str, list[float]] = {name: [] for name in points}
    for _ in range(passes):
        for name, (topics, spoken_to) in points.items():
            found[name].append(cost(kind, topics, spoken_to))
    for name, values in found.items():
        ratios = sorted(value / other for value, other in zip(values, found[one], strict=True))
        spread = f"{median(ratios):5.2f} times ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{name:40} {median(values):7.2f} µs  {spread}", flush=True)


def main() -> None:
    print(f"CPU of a message at {RATE} a second; load {os.getloadavg()[0]:.1f}")
    compare("topics", "topics", PASSES, measure)
    compare("names in a bare dict", "dict", PASSES, measure)
    print(f"{TOPICS} filters, 1 spoken to               {measure('filters', TOPICS, 1, RATE // 4):7.2f} µs")
    print(f"CPU of routing alone; load {os.getloadavg()[0]:.1f}")
    compare("topics", "topics", 4 * PASSES, routing)
    compare("names in a bare dict", "dict", 4 * PASSES, routing)


if __name__ == "__main__":
    if sys.argv[1:2] == ["receive"]:
        os.sched_setaffinity(0, {int(sys.argv[-1])})
        receive(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
