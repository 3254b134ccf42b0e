"""What a channel on NATS costs beside nats-py: ``python -m benchmarks.engines``. A server of its own on loopback.

Contenders in turns, in one run: ``ours``; ``nats-py`` on an event loop of its own, as its users have it; and
``nats-py behind a channel``, on an event loop's thread, from which messages are handed to an I/O thread and back: the
least that a transport would do that left the protocol to nats-py. Prints CPU and wall time a message (medians of the
turns, and the spread), what others cost over ours, and the machine's load, which moves wall times most.

- *list*: a list of messages, until the server has dealt with all of them (a PONG after the last), and until another
  process, a bare socket, has heard the last; CPU is that of the sending process. Once where the sender does not hear
  itself, once where it does.
- *receive*: a burst from a bare socket, to one subscriber; CPU is that of the receiving process.
- *round trip*: two processes that answer each other, one message under way; CPU is that of both.

nats-py's ``flush`` writes its PING before what it flushes (2.16), so it is called twice where a PONG is waited for.
"""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from itertools import count
from typing import Any, NamedTuple, Protocol

import nats

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing.conformance.transport_rig import free_port
from rx_multicast_ipc.transport.engine.nats import wire
from rx_multicast_ipc.transport.udp.io_thread import IoThread

from .contenders.nats_core import server

TURNS = 7
MESSAGES = 20_000
TRIPS = 1000
PAYLOAD = b"x" * 100
LAST = b"the last one"
GROUP = "rx.224-0-2-1"
_ports = count(40_000)


class Cost(NamedTuple):
    """Microseconds a message, or a round trip; of wall time, until the server, and until another process had it."""

    cpu: float
    wall: float
    heard: float = 0.0


class Peer(Protocol):
    """One who hears what is sent on a subject, and answers."""

    def on_message(self, take: Callable[[bytes], None]) -> None:
        """Have ``take`` called with each payload; where it may call :meth:`answer`."""
        ...

    def answer(self, payload: bytes) -> None:
        """Send to the other one; within ``take``, and to begin with."""
        ...

    def close(self) -> None: ...


class Ours:
    """A channel."""

    def __init__(self, url: str, port: int, side: str, *, echo: bool = False) -> None:
        self.channel = ipc.open_channel(port, interface=ipc.Nats(url, user=side), echo=echo)

    def on_message(self, take: Callable[[bytes], None]) -> None:
        self.channel.messages.subscribe(lambda message: take(message.data))

    def answer(self, payload: bytes) -> None:
        self.channel.transport.send(payload)

    def send_list(self, payloads: list[bytes]) -> None:
        ipc.run(self.channel.broadcast_all(payloads))
        transport: Any = self.channel.transport
        transport.connection.flush(60.0)

    def close(self) -> None:
        self.channel.close()


class NatsPy:
    """nats-py, on the event loop where its user is, too."""

    def __init__(self, url: str, port: int, side: str, *, echo: bool = False) -> None:
        self.loop = asyncio.new_event_loop()
        self.subject = f"{GROUP}.{port}.{side}.1"
        self.others = f"{GROUP}.{port}.>" if echo else f"{GROUP}.{port}.{'b' if side == 'a' else 'a'}.1"
        self.echo = echo
        self.heard = self.expected = 0
        self.all_heard = asyncio.Event()
        self.tasks: set[Any] = set()
        self.start()
        self.client: Any = self.run(nats.connect(url))
        if echo:
            self.run(self.listen(self.count))

    def start(self) -> None:
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def count(self, _: Any) -> None:
        self.heard += 1
        if self.heard == self.expected:
            self.all_heard.set()

    async def listen(self, callback: Any) -> None:
        await self.client.subscribe(self.others, cb=callback, pending_msgs_limit=1 << 24, pending_bytes_limit=1 << 31)
        await self.flush()

    async def flush(self) -> None:
        for _ in range(2):
            await self.client.flush(60)

    def on_message(self, take: Callable[[bytes], None]) -> None:
        async def callback(message: Any) -> None:
            take(message.data)

        self.run(self.listen(callback))

    def answer(self, payload: bytes) -> None:
        """On the loop."""
        task = self.loop.create_task(self.client.publish(self.subject, payload))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def send_list(self, payloads: list[bytes]) -> None:
        self.heard, self.expected = 0, len(payloads)
        self.all_heard.clear()

        async def send() -> None:
            publish, subject = self.client.publish, self.subject
            for payload in payloads:
                await publish(subject, payload)
            await self.flush()
            if self.echo:
                await self.all_heard.wait()

        self.run(send())

    def close(self) -> None:
        self.run(self.client.close())
        self.loop.call_soon_threadsafe(self.loop.stop)


class NatsPyBehindAChannel(NatsPy):
    """nats-py on a thread that is not its user's: what comes is handed to an I/O thread, and what goes to the loop."""

    def start(self) -> None:
        super().start()
        self.thread = IoThread("benchmark")
        self.thread.scheduler.schedule_relative(1e9, lambda *_: None)

    def on_message(self, take: Callable[[bytes], None]) -> None:
        async def callback(message: Any) -> None:
            data = message.data
            self.thread.post(lambda: take(data))

        self.run(self.listen(callback))

    def answer(self, payload: bytes) -> None:
        self.loop.call_soon_threadsafe(super().answer, payload)


CONTENDERS: dict[str, Callable[[str, int, str], Peer]] = {
    "ours": Ours,
    "nats-py": NatsPy,
    "nats-py behind a channel": NatsPyBehindAChannel,
}


class Bare:
    """A socket that speaks as little of the protocol as it takes, in another process."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "benchmarks.engines", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()

    def read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the other process ended"
        return line.strip()

    def ask(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def bare_socket(url: str) -> socket.socket:
    host, _, port = url.rpartition("/")[2].partition(":")
    opened = socket.create_connection((host, int(port)))
    opened.recv(65_536)
    opened.sendall(b'CONNECT {"verbose":false,"echo":false}\r\nPING\r\n')
    while b"PONG" not in opened.recv(65_536):
        pass
    return opened


def listen(url: str, port: int) -> None:
    """Say each time that the last message was heard."""
    with bare_socket(url) as opened:
        opened.sendall(b"SUB %b.%d.> 1\r\nPING\r\n" % (GROUP.encode(), port))
        tail = b""
        while data := opened.recv(1 << 20):
            if b"PING\r\n" in data and not tail:
                opened.sendall(b"PONG\r\n")
            if b"PONG\r\n" in data:
                print("ready", flush=True)
            tail = (tail + data)[-len(LAST) - 2 :] if len(data) < len(LAST) else data[-len(LAST) - 2 :]
            if tail.startswith(LAST):
                print("heard", flush=True)


def flood(url: str, port: int) -> None:
    """Send a burst at every line that is read."""
    payloads = [PAYLOAD] * (MESSAGES - 1) + [LAST]
    subject = f"{GROUP}.{port}.b.1".encode()
    with bare_socket(url) as opened:
        print("ready", flush=True)
        number = 1
        for _ in sys.stdin:
            opened.sendall(wire.publish(subject, b"_rxn.", number, payloads))
            number += len(payloads)
            print("sent", flush=True)


def respond(name: str, url: str, port: int) -> None:
    """Answer each message, and say how much CPU that took so far, at every line that is read."""
    peer = CONTENDERS[name](url, port, "b")
    peer.on_message(peer.answer)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)


def measure_list(peer: Any, heard: Bare) -> Cost:
    payloads = [PAYLOAD] * (MESSAGES - 1) + [LAST]
    cpu, wall = time.process_time(), time.perf_counter()
    peer.send_list(payloads)
    wall_server, cpu_server = time.perf_counter() - wall, time.process_time() - cpu
    heard.read()
    wall_heard = time.perf_counter() - wall
    return Cost(*(each / MESSAGES * 1e6 for each in (cpu_server, wall_server, wall_heard)))


def measure_receive(name: str, url: str) -> Cost:
    port = next(_ports)
    peer, flooder, done = CONTENDERS[name](url, port, "a"), Bare("flood", url, port), threading.Event()
    peer.on_message(lambda data: done.set() if data == LAST else None)
    cpu, wall = time.process_time(), time.perf_counter()
    flooder.ask()
    assert done.wait(60), "the last message did not come"
    cost = Cost((time.process_time() - cpu) / MESSAGES * 1e6, (time.perf_counter() - wall) / MESSAGES * 1e6)
    flooder.close()
    peer.close()
    return cost


def measure_round_trip(name: str, url: str) -> Cost:
    port = next(_ports)
    peer, responder, done = CONTENDERS[name](url, port, "a"), Bare("respond", name, url, port), threading.Event()
    trips: list[float] = []
    began = 0.0

    def take(_: bytes) -> None:
        nonlocal began
        now = time.perf_counter()
        trips.append(now - began)
        began = now
        if len(trips) < TRIPS:
            peer.answer(PAYLOAD)
        else:
            done.set()

    peer.on_message(take)
    cpu = time.process_time() + float(responder.ask())
    began = time.perf_counter()
    begin = getattr(peer, "loop", None)
    if begin is None:
        peer.answer(PAYLOAD)
    else:
        begin.call_soon_threadsafe(peer.answer, PAYLOAD)
    assert done.wait(60), "the answers ceased"
    cpu = time.process_time() + float(responder.ask()) - cpu
    responder.close()
    peer.close()
    return Cost(cpu / TRIPS * 1e6, statistics.median(trips) * 1e6)


def told(costs: list[Cost], field: str) -> str:
    values = sorted(getattr(cost, field) for cost in costs)
    return f"{statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})"


def show(what: str, found: dict[str, list[Cost]], fields: dict[str, str]) -> None:
    first = next(iter(found))
    for name, costs in found.items():
        print(f"{what}, {name}: " + ", ".join(f"{text} {told(costs, field)} µs" for field, text in fields.items()))
        if name != first:
            ratios = {
                text: statistics.median(
                    [getattr(a, field) / getattr(b, field) for a, b in zip(costs, found[first], strict=True)]
                )
                for field, text in fields.items()
            }
            print(f"    over {first}: " + ", ".join(f"{text} {ratio:.2f}" for text, ratio in ratios.items()))
    print(f"    load {os.getloadavg()[0]:.1f}", flush=True)


def measure(url: str) -> None:
    for echo, title in ((False, "list"), (True, "list, heard by its sender, too")):
        kinds: dict[str, Any] = {"ours": Ours, "nats-py": NatsPy}
        ports = {name: next(_ports) for name in kinds}
        peers = {name: kind(url, ports[name], "a", echo=echo) for name, kind in kinds.items()}
        listening = {name: Bare("listen", url, ports[name]) for name in kinds}
        found: dict[str, list[Cost]] = {name: [] for name in peers}
        for turn in range(TURNS):
            for name in list(peers) if turn % 2 else reversed(list(peers)):
                found[name].append(measure_list(peers[name], listening[name]))
        show(title, found, {"cpu": "CPU", "wall": "until the server has it", "heard": "until another process has it"})
        for name, peer in peers.items():
            listening[name].process.kill()
            listening[name].process.wait()
            peer.close()
    for title, work, fields in (
        ("receive", measure_receive, {"cpu": "CPU", "wall": "wall"}),
        ("round trip", measure_round_trip, {"cpu": "CPU of both", "wall": "p50"}),
    ):
        found = {name: [] for name in CONTENDERS}
        for turn in range(TURNS):
            for name in list(CONTENDERS) if turn % 2 else reversed(list(CONTENDERS)):
                found[name].append(work(name, url))
        show(title, found, fields)


def main() -> None:
    port = free_port()
    machine = f"{platform.system()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    print(f"{machine}, nats-py {version('nats-py')}")
    started = server(port)
    try:
        while True:
            try:
                bare_socket(f"nats://127.0.0.1:{port}").close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        measure(f"nats://127.0.0.1:{port}")
    finally:
        started.kill()
        started.wait()


ROLES: dict[str, Callable[..., None]] = {
    "listen": lambda url, port: listen(url, int(port)),
    "flood": lambda url, port: flood(url, int(port)),
    "respond": lambda name, url, port: respond(name, url, int(port)),
}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        ROLES[sys.argv[1]](*sys.argv[2:])
    else:
        main()
