"""Where the time of one message goes: the steps on its way, timed alone. ``python -m benchmarks.steps``

*Cold* steps come after 8 MiB of other memory was read: what a program does between two messages pushes the last one's
way out of the processor's caches. Figures are the least of several blocks' medians, in turns with those of an older
checkout if one is named, so that a busy machine moves them little.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from reactivex import operators as ops

import rx_multicast_ipc as ipc

from .contenders import raw
from .report import load
from .workers import Worker, pin

PORT = 51_100
TURNS = 1500
_OTHER_MEMORY = b"\1" * (8 << 20)

Step = tuple[Callable[[], Any], Callable[[], Any]]
"""What is timed, and what prepares it and is not."""


def steps() -> dict[str, Step]:
    """The steps by their names; what they need stays open until the process ends."""
    channel = ipc.open_channel(PORT, raw.GROUP, backlog=1)
    answers = ipc.open_channel(PORT + 1, raw.GROUP, backlog=1)
    passed_on, answered = ipc.open_channel(PORT + 2, raw.GROUP, backlog=1), ipc.open_channel(PORT + 3, raw.GROUP)
    for each in (channel, answers, passed_on, answered):
        _keep_busy(each)
    passed_on.messages.pipe(ops.filter(lambda m: m.port > 0), ops.map(lambda m: m.data)).subscribe()
    answered.messages.subscribe(lambda m: answers.broadcast(m.data).subscribe())
    plain, bare = raw.sender_socket(), raw.receiver_socket(PORT + 4)
    ready = select.epoll()
    ready.register(bare, select.EPOLLIN)
    payload = bytes(64)
    to_answers = raw.GROUP, PORT + 1

    def send_to(port: int) -> Callable[[], Any]:
        return lambda: plain.sendto(payload, (raw.GROUP, port))

    return {
        "sendto": (lambda: plain.sendto(payload, to_answers), _nothing),
        "`broadcast(x).subscribe()`, sendto in it": (lambda: answers.broadcast(payload).subscribe(), _nothing),
        "epoll, ready": (lambda: ready.poll(0), _nothing),
        "recvfrom": (lambda: bare.recvfrom(65_535), send_to(PORT + 4)),
        "a channel's read of one, and its delivery to nobody": (_read_of(channel), send_to(PORT)),
        "the same, through filter and map": (_read_of(passed_on), send_to(PORT + 2)),
        "recvfrom, and sendto of what came": (
            lambda: plain.sendto(bare.recvfrom(65_535)[0], to_answers),
            send_to(PORT + 4),
        ),
        "a channel's read of one, and `broadcast` of what came": (_read_of(answered), send_to(PORT + 3)),
    }


def _nothing() -> None: ...


def _keep_busy(channel: ipc.Channel) -> None:
    """Keep the I/O thread from reading, for what it reads is read here."""
    busy, never = threading.Event(), threading.Event()

    def stay() -> None:
        busy.set()
        never.wait()

    channel.transport.call(stay)
    busy.wait()


def _read_of(channel: ipc.Channel) -> Callable[[], Any]:
    transport: Any = channel.transport
    (opened,) = transport._memberships._listeners.values()
    return transport._reader_of(opened)


def microseconds(step: Callable[[], Any], prepare: Callable[[], Any], *, cold: bool) -> float:
    """Median of one step; what prepares it is not counted."""
    times: list[float] = []
    for _ in range(TURNS):
        prepare()
        if cold:
            _OTHER_MEMORY.find(0)
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return median(times) * 1e6


def block(core: int) -> None:
    """All steps in this process, printed as JSON: hot and cold, in µs, by name."""
    pin(core)
    print(json.dumps({"ready": True}), flush=True)
    found = {name: [microseconds(*step, cold=False), microseconds(*step, cold=True)] for name, step in steps().items()}
    print(json.dumps(found), flush=True)
    os._exit(0)  # for threads that stay busy


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--before", help="folder of an older checkout of this package, to compare with")
    options = parser.parse_args()
    found: dict[str | None, list[dict[str, list[float]]]] = {}
    for _ in range(options.blocks):
        for path in (None, options.before) if options.before else (None,):
            with Worker("benchmarks.steps", "block", core=1, path=path) as worker:
                found.setdefault(path, []).append(worker.answer())
    print(load())
    print("| step | hot, µs | cold, µs |" + (" hot before | cold before |" if options.before else ""))
    print("|---|--:|--:|" + ("--:|--:|" if options.before else ""))
    for name in found[None][0]:
        cells = [
            f"{min(one[name][temperature] for one in blocks):.2f}"
            for blocks in found.values()
            for temperature in (0, 1)
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["block"]:
        block(int(sys.argv[2]))
    else:
        main()
