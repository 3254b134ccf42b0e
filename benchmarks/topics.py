"""What a message costs a process that listens to one topic, and to a thousand: ``python -m benchmarks.topics``.

The figure is the receiving process's CPU, reading and decoding included, at 10 000 messages a second over loopback;
passes alternate. A filter for each topic is measured beside them: what one look-up a message saves.
``python -m benchmarks.topics receive KIND TOPICS PORT CORE`` is the process that is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import count
from statistics import median

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


def names(number: int) -> list[str]:
    return [f"robot/{index:04}/pose" for index in range(number)]


def measure(kind: str, topics: int, messages: int, spoken_to: int = 1) -> float:
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
        for name in names(topics):
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
    print(json.dumps({"microseconds": spent / max(seen, 1) * 1e6, "seen": seen}), flush=True)


decoder = msgspec.json.Decoder(Pose)


def main() -> None:
    one, few, all_ = "1 topic", f"{TOPICS} topics, 1 spoken to", f"{TOPICS} topics, all spoken to"
    points = {one: (1, 1), few: (TOPICS, 1), all_: (TOPICS, TOPICS)}
    found: dict[str, list[float]] = {name: [] for name in points}
    for _ in range(PASSES):
        for name, (topics, spoken_to) in points.items():
            found[name].append(measure("topics", topics, RATE * SECONDS, spoken_to))
    found[f"{TOPICS} filters, 1 spoken to"] = [measure("filters", TOPICS, RATE // 4)]
    for name, values in found.items():
        times = median(values) / median(found[one])
        each = ", ".join(f"{value:.2f}" for value in values)
        print(f"{name:28} {median(values):8.2f} µs of CPU a message, {times:6.2f} times one topic's  ({each})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["receive"]:
        os.sched_setaffinity(0, {int(sys.argv[-1])})
        receive(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
