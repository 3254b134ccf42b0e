"""What a round trip is made of, an ingredient a rung, from a bare loop to a whole channel.

``python -m benchmarks.ladder [--passes 5] [--trips 2000]``; the rungs take turns, pinned to a core a side and not.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from . import roundtrip
from .contenders import raw as plain
from .report import load

UDP_GRO = 104

Take = Callable[[], bytes]


def _rung(
    role: str, port: int, trips: int, taking: Callable[[socket.socket], Take], *, on_thread: bool = False
) -> list[float]:
    """Round trips of bare sockets, where ``taking`` makes what takes the next datagram of one."""
    sender, receiver = plain.sender_socket(), plain.receiver_socket(port + (role == "ping"))
    to = plain.GROUP, port + (role == "pong")
    take = taking(receiver)
    times: list[float] = []

    def pong() -> None:
        print(json.dumps({"ready": True}), flush=True)
        while (data := take()) != roundtrip.QUIT:
            sender.sendto(data, to)

    def ping() -> None:
        for _ in range(trips):
            started = time.perf_counter()
            sender.sendto(roundtrip.PING, to)
            take()
            times.append(time.perf_counter() - started)
        sender.sendto(roundtrip.QUIT, to)

    side = pong if role == "pong" else ping
    if on_thread:
        thread = threading.Thread(target=side)
        thread.start()
        thread.join()
    else:
        side()
    return times


def _recvfrom(receiver: socket.socket) -> Take:
    return lambda: receiver.recvfrom(65_535)[0]


def _epoll(receiver: socket.socket) -> Take:
    poller = select.epoll()
    poller.register(receiver, select.EPOLLIN)

    def take() -> bytes:
        poller.poll()
        return receiver.recvfrom(65_535)[0]

    return take


def _gro(receiver: socket.socket) -> Take:
    receiver.setsockopt(socket.IPPROTO_UDP, UDP_GRO, struct.pack("i", 1))
    return _epoll(receiver)


def _reader(receiver: socket.socket) -> Take:
    from rx_multicast_ipc.group import Group
    from rx_multicast_ipc.transport.udp import kernel_features
    from rx_multicast_ipc.transport.udp.datagram_readers import Reception
    from rx_multicast_ipc.transport.udp.reader_choice import group_reader

    kernel_features.find()
    receiver.setsockopt(socket.IPPROTO_UDP, UDP_GRO, struct.pack("i", 1))
    receiver.setblocking(False)
    poller = select.epoll()
    poller.register(receiver, select.EPOLLIN)
    read = group_reader(Group.of()).read
    reception = Reception(False, "", (plain.GROUP, 1))

    def take() -> bytes:
        poller.poll()
        return read(receiver, reception)[0].data

    return take


RUNGS: dict[str, Callable[[str, int, int], list[float]]] = {
    "raw": lambda *where: _rung(*where, _recvfrom),
    "on a thread of its own": lambda *where: _rung(*where, _recvfrom, on_thread=True),
    "epoll first": lambda *where: _rung(*where, _epoll, on_thread=True),
    "UDP_GRO on": lambda *where: _rung(*where, _gro, on_thread=True),
    "the channel's reader": lambda *where: _rung(*where, _reader, on_thread=True),
    "a channel, echo=False, spin=0": lambda *where: roundtrip.ours(*where, echo=False, spin=0),
    "a channel, spin=0": roundtrip.ours_never_polls,
    "a channel": roundtrip.ours,
    "a channel, spin=0.0003": roundtrip.ours_spin,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladder", description=__doc__)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--trips", type=int, default=2000)
    options = parser.parse_args()
    print(load())
    print("| rung | pinned, p50 µs | over raw (least to most) | not pinned, p50 µs | over raw (least to most) |")
    print("|---|--:|--:|--:|--:|")
    entries: list[tuple[str, str | None]] = [(name, None) for name in RUNGS]
    found: list[dict[str, Any]] = []
    for pinned in (True, False):
        some = roundtrip.turns(entries, options.passes, options.trips, pinned=pinned, module="benchmarks.ladder")
        found.append({name: [one["p50"] for one in times] for name, times in some.items()})
    for name in RUNGS:
        cells: list[str] = []
        for some in found:
            if name in some:
                ratios = [a / b for a, b in zip(some[name], some["raw"], strict=False)]
                spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                cells += [f"{median(some[name]):.1f}", f"{median(ratios):.2f} ({spread})"]
            else:
                cells += ["-", "-"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    import sys

    if len(sys.argv) > 5 and sys.argv[1] in RUNGS:
        roundtrip.answer(RUNGS)
    else:
        os.environ.setdefault("PYTHONUNBUFFERED", "1")
        main()
