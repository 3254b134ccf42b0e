"""What a message costs: draining a full buffer, sending one by one, and CPU at a fixed rate.

``python -m benchmarks.costs NAME CORE`` measures one of ``ONCE`` in a process of its own and prints a number.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from itertools import count

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing.held_channel import held

from .contenders import raw
from .throughput import Link
from .workers import Worker

SIZE = 64
DATAGRAMS = 40_000
BUFFER = 64 << 20
"""Bytes of receive buffer to ask for, so that all of them fit where the system grants it."""

SENDS = 40_000
RATES = (20_000, 100_000)

_ports = count(49_100)


def fill(port: int) -> None:
    with raw.sender_socket() as sender:
        for _ in range(DATAGRAMS):
            sender.sendto(bytes(SIZE), (raw.GROUP, port))


def drain_raw(port: int) -> float:
    """A bare recvfrom loop that does nothing."""
    with raw.receiver_socket(port, BUFFER) as receiver:
        fill(port)
        receiver.setblocking(False)
        received = 0
        started = time.process_time()
        try:
            while True:
                receiver.recvfrom(65_535)
                received += 1
        except BlockingIOError:
            return (time.process_time() - started) / received * 1e9


def drain_ours(port: int) -> float:
    """filter, map and a subscriber."""
    received = 0

    def on_next(_: bytes) -> None:
        nonlocal received
        received += 1

    with ipc.open_channel(port, raw.GROUP, backlog=1, receive_buffer=BUFFER) as channel:
        channel.messages.pipe(ops.filter(lambda m: m.port > 0), ops.map(lambda m: m.data)).subscribe(on_next)
        with held(channel) as release:
            fill(port)
            started = time.process_time()
            release()
            expected = DATAGRAMS - (channel.statistics.dropped or 0)
            while received < expected:
                time.sleep(0.01)
            return (time.process_time() - started) / received * 1e9


def send_raw(port: int) -> float:
    """A sendto loop beside a socket that listens and is not read, as for the others."""
    with raw.receiver_socket(port), raw.sender_socket() as sender:
        payload, to = bytes(SIZE), (raw.GROUP, port)
        started = time.perf_counter()
        for _ in range(SENDS):
            sender.sendto(payload, to)
        return (time.perf_counter() - started) / SENDS * 1e9


def send_broadcast(port: int) -> float:
    """A broadcast Observable for each, subscribed."""
    with ipc.open_channel(port, raw.GROUP) as channel, held(channel):
        payload = bytes(SIZE)
        started = time.perf_counter()
        for _ in range(SENDS):
            channel.broadcast(payload).subscribe()
        return (time.perf_counter() - started) / SENDS * 1e9


def send_stream(port: int) -> float:
    """A stream of payloads into one sink: what arrives one by one is sent one by one."""
    with ipc.open_channel(port, raw.GROUP) as channel, held(channel):
        payloads = rx.from_iterable([bytes(SIZE)] * SENDS)
        started = time.perf_counter()
        channel.broadcast_all(payloads).subscribe()
        return (time.perf_counter() - started) / SENDS * 1e9


def send_iterable(port: int) -> float:
    """One broadcast_all of an iterable."""
    with ipc.open_channel(port, raw.GROUP) as channel, held(channel):
        payloads = [bytes(SIZE)] * SENDS
        started = time.perf_counter()
        channel.broadcast_all(payloads).subscribe()
        return (time.perf_counter() - started) / SENDS * 1e9


ONCE: dict[str, Callable[[int], float]] = {
    function.__name__: function
    for function in (drain_raw, drain_ours, send_raw, send_broadcast, send_stream, send_iterable)
}


def measure(passes: int) -> dict[str, list[float]]:
    """Nanoseconds a message, by what was measured, one a pass."""
    found: dict[str, list[float]] = {}
    for turn in range(passes):
        for name in ONCE:
            with Worker("benchmarks.costs", name, next(_ports), core=1) as worker:
                found.setdefault(name, []).append(worker.answer()["ns"])
        for name in ("raw", "ours_single"):
            link = Link(name)
            for rate in RATES:
                seen = link.probe(SIZE, rate, rate)
                found.setdefault(f"{name} at {rate}/s", []).append(seen["receive_ns"])
            link.close()
        print(
            f"pass {turn + 1}: " + ", ".join(f"{name} {values[-1]:,.0f} ns" for name, values in found.items()),
            flush=True,
        )
    return found


def main() -> None:
    name, port, core = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, {core})
    print(json.dumps({"ready": True}), flush=True)
    print(json.dumps({"ns": ONCE[name](port)}), flush=True)


if __name__ == "__main__":
    main()
