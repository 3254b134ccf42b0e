"""One-way delay: a message now and then from one process to another, from the call that sends it to who hears it.

``python -m benchmarks.one_way KIND receive|send PORT COUNT CORE`` is one side. A message carries the moment before it
was sent, by ``CLOCK_MONOTONIC``, which both processes read; it is sent when it was due from the beginning on, so that
one that is late makes no other one late.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from .workers import Worker, pin

KINDS = ("raw", "ours", "ours_spin", "zeromq", "asyncio_endpoint", "asyncio_ours", "asyncio_ours_loop")
RATE = 1_000
"""Messages a second."""

SIZE = 64
SETTLING = 200
"""Messages at the beginning that are not counted."""

RANKS = {"p50": 0.5, "p99": 0.99}
LAST = bytes(8)
"""What a message begins with that is the last one."""

_LASTS = 5
"""Of which there are several, for one may be lost."""

_ports = count(47_100)


def due_times(messages: int) -> Iterator[float]:
    """When each is due, by ``time.monotonic``."""
    started = time.monotonic() + 0.05
    return (started + number / RATE for number in range(messages + SETTLING))


def stamped() -> bytes:
    """A payload that is sent right now."""
    return time.monotonic_ns().to_bytes(8) + bytes(SIZE - 8)


class Delays:
    """Takes payloads, and counts how many nanoseconds ago each was stamped."""

    def __init__(self) -> None:
        self.found: list[int] = []
        self.over = threading.Event()

    def hear(self, data: bytes) -> bool:
        """Whether more are to come."""
        now, stamp = time.monotonic_ns(), data[:8]
        if stamp == LAST:
            self.over.set()
            return False
        self.found.append(now - int.from_bytes(stamp))
        return True


def ready() -> None:
    print(json.dumps({"ready": True}), flush=True)


def send_each(messages: int, send: Callable[[bytes], object]) -> None:
    """Send so many, each when it is due, and that there are no more."""
    for due in due_times(messages):
        time.sleep(max(0.0, due - time.monotonic()))
        send(stamped())
    for _ in range(_LASTS):
        time.sleep(0.01)
        send(bytes(SIZE))


def raw(role: str, port: int, messages: int) -> Delays:
    from .contenders import raw as plain

    delays = Delays()
    if role == "send":
        sender, group = plain.sender_socket(), (plain.GROUP, port)
        send_each(messages, lambda payload: sender.sendto(payload, group))
        return delays
    receiver = plain.receiver_socket(port)
    ready()
    while delays.hear(receiver.recvfrom(65_535)[0]):
        pass
    return delays


def ours(role: str, port: int, messages: int, **options: Any) -> Delays:
    import rx_multicast_ipc as ipc

    delays = Delays()
    with ipc.open_channel(port, "224.0.2.9", **options) as channel:
        if role == "send":
            send_each(messages, lambda payload: channel.broadcast(payload).subscribe())
        else:
            channel.messages.subscribe(lambda message: delays.hear(message.data))
            ready()
            delays.over.wait()
    return delays


def ours_spin(role: str, port: int, messages: int) -> Delays:
    return ours(role, port, messages, spin=1.5 / RATE)


def zeromq(role: str, port: int, messages: int) -> Delays:
    import zmq

    delays = Delays()
    context = zmq.Context()
    if role == "send":
        sender = context.socket(zmq.PUB)
        sender.bind(f"tcp://127.0.0.1:{port}")
        time.sleep(1.0)  # until the receiver found it; what is sent before that is lost, and not counted
        send_each(messages, sender.send)
        sender.close(1000)
        return delays
    receiver = context.socket(zmq.SUB)
    receiver.connect(f"tcp://127.0.0.1:{port}")
    receiver.subscribe(b"")
    ready()
    while delays.hear(receiver.recv()):
        pass
    return delays


def asyncio_endpoint(role: str, port: int, messages: int) -> Delays:
    import asyncio

    from .contenders import raw as plain

    delays = Delays()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        class Hear(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: object) -> None:
                if not delays.hear(data):
                    over.set()

        opened = plain.sender_socket() if role == "send" else plain.receiver_socket(port)
        opened.setblocking(False)
        endpoint, _ = await loop.create_datagram_endpoint(Hear, sock=opened)
        if role == "receive":
            ready()
            await over.wait()
            return

        async def send(payload: Callable[[], bytes]) -> None:
            endpoint.sendto(payload(), (plain.GROUP, port))

        await send_each_on_loop(messages, send)

    asyncio.run(main())
    return delays


def asyncio_ours(role: str, port: int, messages: int, **options: Any) -> Delays:
    import asyncio

    import rx_multicast_ipc as ipc

    delays = Delays()

    async def main() -> None:
        async with ipc.open_channel(port, "224.0.2.9", **options) as channel:
            if role == "send":

                async def send(payload: Callable[[], bytes]) -> None:
                    await channel.broadcast(payload())

                await send_each_on_loop(messages, send)
                return
            heard = aiter(channel.messages)
            first = asyncio.ensure_future(anext(heard))  # which subscribes
            await asyncio.sleep(0)
            ready()
            message = await first
            while delays.hear(message.data):
                message = await anext(heard)

    asyncio.run(main())
    return delays


def asyncio_ours_loop(role: str, port: int, messages: int) -> Delays:
    return asyncio_ours(role, port, messages, read_on="loop")


async def send_each_on_loop(messages: int, send: Callable[[Callable[[], bytes]], Any]) -> None:
    """The same as :func:`send_each`, on an event loop; what is sent is made by ``send``."""
    import asyncio

    for due in due_times(messages):
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await send(stamped)
    for _ in range(_LASTS):
        await asyncio.sleep(0.01)
        await send(lambda: bytes(SIZE))


def measure(passes: int, messages: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Microseconds at the 50th and 99th percentile, pinned and not, by kind, one a pass."""
    return {how: _turns(passes, messages, how) for how in ("pinned", "unpinned")}


def _turns(passes: int, messages: int, how: str) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {}
    cores = (1, 0) if how == "pinned" else (None, None)
    for turn in range(passes):
        for kind in KINDS:
            port = next(_ports)
            try:
                with (
                    Worker("benchmarks.one_way", kind, "receive", port, messages, core=cores[0]) as receiver,
                    Worker("benchmarks.one_way", kind, "send", port, messages, core=cores[1]),
                ):
                    delays: dict[str, Any] = receiver.answer()
            except (RuntimeError, EOFError) as error:
                print(f"{kind}: not run ({error})", flush=True)
                continue
            found.setdefault(kind, []).append(delays)
            print(f"pass {turn + 1}: one way, {kind:18} {how} {delays}", flush=True)
    return found


def main() -> None:
    kind, role, port, messages, core = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    pin(core)
    if role == "send":
        ready()
    delays = sorted(globals()[kind](role, port, messages).found[SETTLING:])
    if delays:
        told = {rank: round(delays[int(len(delays) * part)] / 1e3, 1) for rank, part in RANKS.items()}
        print(json.dumps(told | {"heard": len(delays)}), flush=True)


if __name__ == "__main__":
    main()
