"""Round trips: a ping to a group, answered to another one, and the next ping when the answer is there.

``python -m benchmarks.roundtrip KIND ping|pong PORT CORE`` is one side.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from itertools import count
from typing import Any

from .workers import Worker, pin

KINDS = (
    *("raw", "ours", "ours_no_echo", "ours_never_polls", "ours_spin"),
    *("asyncio_endpoint", "asyncio_ours", "asyncio_ours_loop", "zeromq"),
)
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


def ours(role: str, port: int, trips: int, **options: Any) -> list[float]:
    import rx_multicast_ipc as ipc

    done = threading.Event()
    pings, pongs = ipc.open_channel(port, "224.0.2.9", **options), ipc.open_channel(port + 1, "224.0.2.9", **options)
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


def ours_no_echo(role: str, port: int, trips: int) -> list[float]:
    return ours(role, port, trips, echo=False)


def ours_never_polls(role: str, port: int, trips: int) -> list[float]:
    return ours(role, port, trips, spin=0)


def ours_spin(role: str, port: int, trips: int) -> list[float]:
    return ours(role, port, trips, spin=0.0003)


def zeromq(role: str, port: int, trips: int) -> list[float]:
    import zmq

    context = zmq.Context()
    sender, receiver = context.socket(zmq.PUB), context.socket(zmq.SUB)
    sender.bind(f"tcp://127.0.0.1:{port + (role == 'pong')}")
    receiver.connect(f"tcp://127.0.0.1:{port + (role == 'ping')}")
    receiver.subscribe(b"")
    if role == "pong":
        print(json.dumps({"ready": True}), flush=True)
        while (data := receiver.recv()) != QUIT:
            sender.send(data)
        return []
    receiver.setsockopt(zmq.RCVTIMEO, 100)
    while True:  # until both are connected
        sender.send(PING)
        try:
            receiver.recv()
            break
        except zmq.Again:
            continue
    receiver.setsockopt(zmq.RCVTIMEO, -1)
    times: list[float] = []
    for _ in range(trips):
        started = time.perf_counter()
        sender.send(PING)
        receiver.recv()
        times.append(time.perf_counter() - started)
    sender.send(QUIT)
    time.sleep(0.2)
    return times


def asyncio_endpoint(role: str, port: int, trips: int) -> list[float]:
    import asyncio

    from .contenders import raw as plain

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        class Hear(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: object) -> None:
                heard.put_nowait(data)

        receiver, sender = plain.receiver_socket(port + (role == "ping")), plain.sender_socket()
        receiver.setblocking(False)
        sender.setblocking(False)
        await loop.create_datagram_endpoint(Hear, sock=receiver)
        out, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sender)
        to = plain.GROUP, port + (role == "pong")
        if role == "pong":
            print(json.dumps({"ready": True}), flush=True)
            while (data := await heard.get()) != QUIT:
                out.sendto(data, to)
            return []
        times: list[float] = []
        for _ in range(trips):
            started = time.perf_counter()
            out.sendto(PING, to)
            await heard.get()
            times.append(time.perf_counter() - started)
        out.sendto(QUIT, to)
        return times

    return asyncio.run(main())


def asyncio_ours(role: str, port: int, trips: int, **options: Any) -> list[float]:
    import asyncio

    import rx_multicast_ipc as ipc

    async def main() -> list[float]:
        async with (
            ipc.open_channel(port, "224.0.2.9", **options) as pings,
            ipc.open_channel(port + 1, "224.0.2.9", **options) as pongs,
        ):
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


def asyncio_ours_loop(role: str, port: int, trips: int) -> list[float]:
    return asyncio_ours(role, port, trips, read_on="loop")


def measure(passes: int, trips: int, before: str | None) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Microseconds at the 50th, 99th and 99.9th percentile, and of the answering side's CPU a trip; pinned and not, by
    kind, one a pass."""
    entries: list[tuple[str, str | None]] = [(kind, None) for kind in KINDS]
    if before:
        entries.append(("ours", before))
    return {how: turns(entries, passes, trips, pinned=how == "pinned") for how in ("pinned", "unpinned")}


def turns(
    entries: list[tuple[str, str | None]],
    passes: int,
    trips: int,
    *,
    pinned: bool,
    module: str = "benchmarks.roundtrip",
) -> dict[str, list[dict[str, float]]]:
    """The same for pairs of a kind of ``module`` and an older checkout, or None."""
    found: dict[str, list[dict[str, float]]] = {}
    for turn in range(passes):
        for kind, path in entries:
            port, label = next(_ports), "before" if path else kind
            cores = (1, 0) if pinned else (None, None)
            try:
                with (
                    Worker(module, kind, "pong", port, trips, core=cores[0], path=path) as pong,
                    Worker(module, kind, "ping", port, trips, core=cores[1], path=path) as ping,
                ):
                    begun = pong.cpu
                    times: dict[str, Any] = ping.answer()
                    times["cpu"] = round((pong.cpu - begun) / trips * 1e6, 1)
            except (RuntimeError, EOFError) as error:
                print(f"{label}: not run ({error})", flush=True)
                continue
            found.setdefault(label, []).append(times)
            print(f"pass {turn + 1}: {label:18} {'pinned' if pinned else 'unpinned'} {times}", flush=True)
    return found


def answer(kinds: dict[str, Any]) -> None:
    """One side, as the command line says; ``kinds`` holds what can be measured."""
    kind, role, port, trips, core = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    pin(core)
    if role == "ping":
        print(json.dumps({"ready": True}), flush=True)
    times = sorted(kinds[kind](role, port, trips))
    if times:
        ranks = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        print(
            json.dumps({name: round(times[int(len(times) * part)] * 1e6, 1) for name, part in ranks.items()}),
            flush=True,
        )


if __name__ == "__main__":
    answer(globals())
