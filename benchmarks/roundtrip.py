"""Round trips: a ping to a group, answered to another one, and the next ping when the answer is there.

``python -m benchmarks.roundtrip KIND ping|pong PORT CORE`` is one side.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from itertools import count
from typing import Any

from .workers import Worker

KINDS = ("raw", "ours", "asyncio_ours")
QUIT = b"quit"
PING = bytes(64)

_ports = count(48_100, 2)


def raw(role: str, port: int, trips: int) -> list[float]:
    from .contenders import raw as plain

    pings, pongs = (plain.GROUP, port), (plain.GROUP, port + 1)
    sender = plain.sender_socket()
    if role == "pong":
        receiver = plain.receiver_socket(port)
        print(json.dumps({"ready": True}), flush=True)
        while (data := receiver.recvfrom(65_535)[0]) != QUIT:
            sender.sendto(data, pongs)
        return []
    receiver = plain.receiver_socket(port + 1)
    times: list[float] = []
    for _ in range(trips):
        started = time.perf_counter()
        sender.sendto(PING, pings)
        receiver.recvfrom(65_535)
        times.append(time.perf_counter() - started)
    sender.sendto(QUIT, pings)
    return times


def ours(role: str, port: int, trips: int) -> list[float]:
    import rx_multicast_ipc as ipc

    done = threading.Event()
    pings, pongs = ipc.open_channel(port, "224.0.2.9"), ipc.open_channel(port + 1, "224.0.2.9")
    if role == "pong":

        def answer(message: ipc.Message) -> None:
            if message.data == QUIT:
                done.set()
            else:
                pongs.broadcast(message.data).subscribe()

        pings.messages.subscribe(answer)
        print(json.dumps({"ready": True}), flush=True)
        done.wait()
        return []
    times: list[float] = []
    started = 0.0

    def ping() -> None:
        nonlocal started
        started = time.perf_counter()
        pings.broadcast(PING).subscribe()

    def on_pong(_: ipc.Message) -> None:
        times.append(time.perf_counter() - started)
        if len(times) < trips:
            ping()
        else:
            done.set()

    pongs.messages.subscribe(on_pong)
    ping()
    done.wait()
    ipc.run(pings.broadcast(QUIT))
    return times


def asyncio_ours(role: str, port: int, trips: int) -> list[float]:
    import asyncio

    import rx_multicast_ipc as ipc

    async def main() -> list[float]:
        async with ipc.open_channel(port, "224.0.2.9") as pings, ipc.open_channel(port + 1, "224.0.2.9") as pongs:
            heard = aiter(ipc.to_async_iterable((pings if role == "pong" else pongs).messages))
            if role == "pong":
                print(json.dumps({"ready": True}), flush=True)
                while (data := (await anext(heard)).data) != QUIT:
                    await pongs.broadcast(data)
                return []
            times: list[float] = []
            for _ in range(trips):
                started = time.perf_counter()
                await pings.broadcast(PING)
                await anext(heard)
                times.append(time.perf_counter() - started)
            await pings.broadcast(QUIT)
            return times

    return asyncio.run(main())


def measure(passes: int, trips: int, before: str | None) -> dict[str, list[dict[str, float]]]:
    """Microseconds at the 50th, 99th and 99.9th percentile, by kind, one a pass."""
    found: dict[str, list[dict[str, float]]] = {}
    for turn in range(passes):
        for kind, path in [*((kind, None) for kind in KINDS), *([("ours", before)] if before else [])]:
            port = next(_ports)
            with (
                Worker("benchmarks.roundtrip", kind, "pong", port, trips, core=1, path=path),
                Worker("benchmarks.roundtrip", kind, "ping", port, trips, core=0, path=path) as ping,
            ):
                times: dict[str, Any] = ping.answer()
            found.setdefault("before" if path else kind, []).append(times)
            print(f"pass {turn + 1}: {'before' if path else kind:14} {times}", flush=True)
    return found


def main() -> None:
    kind, role, port, trips, core = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    os.sched_setaffinity(0, {core})
    if role == "ping":
        print(json.dumps({"ready": True}), flush=True)
    times = sorted(globals()[kind](role, port, trips))
    if times:
        ranks = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        print(
            json.dumps({name: round(times[int(len(times) * part)] * 1e6, 1) for name, part in ranks.items()}),
            flush=True,
        )


if __name__ == "__main__":
    main()
