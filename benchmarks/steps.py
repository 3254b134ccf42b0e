"""Where the time of one message goes: the steps on its way, timed alone. ``python -m benchmarks.steps``"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing.held_channel import held

from .contenders import raw

PORT = 51_100
TURNS = 5000


def main() -> None:
    with ipc.open_channel(PORT, raw.GROUP, backlog=1) as channel, held(channel):
        channel.messages.pipe(ops.filter(lambda m: m.port > 0), ops.map(lambda m: m.data)).subscribe()
        transport: Any = channel.transport
        (opened,) = transport._memberships._listeners.values()
        listener, sender, reader = opened.socket, transport._outlet.socket, transport._reader
        group = (raw.GROUP, PORT)
        payload = bytes(64)
        batch = [ipc.Message(payload, "127.0.0.1", 1)]
        ready = select.epoll()
        ready.register(listener, select.EPOLLIN)

        plain = raw.sender_socket()  # another's: a channel's own messages come to it from memory

        def send() -> None:
            plain.sendto(payload, group)

        def read() -> None:
            reader.read(listener, False)

        steps: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "sendto": (lambda: sender.sendto(payload, group), lambda: None),
            "broadcast(x).subscribe(), sendto in it": (lambda: channel.broadcast(payload).subscribe(), lambda: None),
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
