"""Where the time of one message goes: the steps on its way, timed alone. ``python -m benchmarks.steps``"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from reactivex import operators as ops

import rx_multicast_ipc as ipc

from .contenders import raw
from .costs import held

PORT = 51_100
TURNS = 5000


def main() -> None:
    with ipc.open_channel(PORT, raw.GROUP, backlog=1) as channel, held(channel):
        channel.messages.pipe(ops.filter(lambda m: m.port > 0), ops.map(lambda m: m.data)).subscribe()
        transport: Any = channel.transport
        listener, sender, reader = transport._listener, transport._sender, transport._reader
        payload = bytes(64)
        batch = [ipc.Message(payload, "127.0.0.1", 1)]
        ready = select.epoll()
        ready.register(listener, select.EPOLLIN)

        def send() -> None:
            transport.send(payload)

        def read() -> None:
            reader.read(listener, False)

        steps: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "sendto": (lambda: sender.sendto(payload, transport._destination), read),
            "broadcast(x).subscribe(), sendto in it": (lambda: channel.broadcast(payload).subscribe(), read),
            "epoll, ready": (lambda: ready.poll(0), lambda: None),
            "recvfrom": (lambda: listener.recvfrom(65_535), send),
            "recvmmsg of one, and its record": (read, send),
            "delivery through filter and map": (lambda: transport._deliver(batch), lambda: None),
        }
        send()
        for name, (step, prepare) in steps.items():
            print(f"{name:42} {microseconds(step, prepare):5.2f} µs")


def microseconds(step: Callable[[], Any], prepare: Callable[[], Any]) -> float:
    """Median of one step; what prepares it is not counted."""
    times: list[float] = []
    for _ in range(TURNS):
        prepare()
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return median(times) * 1e6


if __name__ == "__main__":
    main()
