"""What a seal costs: ``python -m benchmarks.sealed``. Two processes on loopback, plain and sealed in turns, in one run.

Prints microseconds a message (or a round trip) of both processes' CPU together, and of wall time; the median of the
turns, the ratio of sealed to plain with its least and greatest, and the machine's load, without which none of it says
much. Then a ladder: what each step of a single sealed message adds, on its way out to a socket, and of its way in.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing.conformance.transport_rig import free_port
from rx_multicast_ipc.transport.base import HERE
from rx_multicast_ipc.transport.framed.packet_codec import message_in, pack_message
from rx_multicast_ipc.transport.sealed.packet_cipher import Opener, Sealer

TURNS = 9
SIZE = 100
WINDOW = 200


class Cost(NamedTuple):
    """Microseconds a message."""

    cpu: float
    wall: float


class Pair:
    """A channel here, and one in another process that answers what begins with a question mark."""

    def __init__(self, *, reliable: bool, key: ipc.Key | None) -> None:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.sealed", str(port), str(int(reliable))]
        environment = {**os.environ, "BENCHMARK_KEY": "" if key is None else key.reveal().splitlines()[1]}
        self._other = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        assert self._other.stdout is not None
        self._other.stdout.readline()
        self.channel = ipc.open_channel(port, reliable=reliable, key=key or False, echo=False)
        while True:  # until both know each other
            try:
                self.ask()
                break
            except ipc.MessageTimeout:
                pass

    def ask(self) -> float:
        """Ask the other process for its CPU seconds; returns when it has read all that was said before."""
        return float(ipc.run(self.channel.request("?", lambda message: message.direct, timeout=5.0)).text)

    def measure(self, work: Callable[[Pair], int]) -> Cost:
        others, own, started = self.ask(), time.process_time(), time.perf_counter()
        count = work(self)
        wall = time.perf_counter() - started
        cpu = time.process_time() - own + self.ask() - others
        return Cost(cpu / count * 1e6, wall / count * 1e6)

    def close(self) -> None:
        self.channel.close()
        self._other.kill()
        self._other.wait()


def single(pair: Pair) -> int:
    """One send each, with a question now and then so that nothing overruns."""
    send, payload = pair.channel.transport.send, bytes(SIZE)
    for _ in range(20):
        for _ in range(WINDOW):
            send(payload)
        pair.ask()
    return 20 * WINDOW


def bundled(pair: Pair) -> int:
    """Many at once."""
    for _ in range(20):
        ipc.run(pair.channel.broadcast_all([bytes(SIZE)] * 2000))
        pair.ask()
    return 20 * 2000


def round_trip(pair: Pair) -> int:
    for _ in range(500):
        pair.ask()
    return 500


def answer(port: int, *, reliable: bool) -> None:
    """The other process."""
    text = os.environ["BENCHMARK_KEY"]
    key = ipc.Key.parse(text) if text else False
    with ipc.open_channel(port, reliable=reliable, key=key, echo=False) as channel:
        send = channel.transport.send

        def take(batch: list[ipc.Message]) -> None:
            for message in batch:
                if message.data == b"?":
                    send(b"%.6f" % time.process_time(), message.sender)

        with channel.batches.subscribe(take):
            print("ready", flush=True)
            time.sleep(3600)


def main() -> None:
    key = ipc.Key.new()
    for name, reliable in (("reliable", True), ("without repair", False)):
        pairs = [Pair(reliable=reliable, key=None), Pair(reliable=reliable, key=key)]
        for work in (single, bundled, round_trip):
            costs: list[list[Cost]] = [[], []]
            for turn in range(TURNS):
                for which in (0, 1) if turn % 2 else (1, 0):
                    costs[which].append(pairs[which].measure(work))
            for field, unit in enumerate(("CPU", "wall")):
                plain, sealed = (statistics.median([cost[field] for cost in each]) for each in costs)
                ratios = [each[1][field] / each[0][field] for each in zip(*costs, strict=True)]
                print(
                    f"{name}, {work.__name__}, {unit}: plain {plain:.2f} µs, sealed {sealed:.2f} µs, "
                    f"ratio {sealed / plain:.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
                    f"load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
        for pair in pairs:
            pair.close()
    ladder()


def ladder() -> None:
    """CPU of one thread, the steps in turns: the least of the turns, and what each adds to the one before."""
    key, payload, count = ipc.Key.new(), bytes(SIZE), 2000
    with ipc.open_channel(free_port(), key=key, echo=False) as channel:
        transport: Any = channel.transport
        send, lock = transport.inner.send, transport.packets.lock
        port = transport.packets
        packet = pack_message(1, 1, payload)
        salt = os.urandom(12)
        seal = Sealer(key, (channel.group.address, channel.group.port), salt)
        datagram = seal.seal(packet)
        opener = Opener(key, (channel.group.address, channel.group.port), seal.prefix)
        encrypt, decrypt = AESGCM(bytes(32)).encrypt, AESGCM(bytes(32)).decrypt
        nonce, header = bytes(12), bytes(24)
        cipher = encrypt(nonce, packet, header)

        def send_and_encrypt() -> None:
            encrypt(nonce, packet, header)
            send(datagram)

        def send_under_lock() -> None:
            with lock:
                before, HERE.must_go_on = HERE.must_go_on, True
                try:
                    send(port.wrap(pack_message(1, 1, payload), None))
                finally:
                    HERE.must_go_on = before

        steps: dict[str, Callable[[], object]] = {
            "out: the socket": lambda: send(datagram),
            "out: and one encrypt": send_and_encrypt,
            "out: and nonce, header, counter": lambda: send(seal.seal(packet)),
            "out: and target, time, first message": lambda: send(port.wrap(packet, None)),
            "out: and packet": lambda: send(port.wrap(pack_message(1, 1, payload), None)),
            "out: and lock": send_under_lock,
            "out: and counts: all of a send": lambda: transport.send(payload),
            "in: one decrypt": lambda: decrypt(nonce, cipher, header),
            "in: and nonce, header": lambda: opener.open(datagram),
            "in: and the message in it": lambda: message_in(opener.open(datagram) or b""),
        }
        least = dict.fromkeys(steps, math.inf)
        for _ in range(TURNS):
            for name, step in steps.items():
                started = time.thread_time()
                for _ in range(count):
                    step()
                least[name] = min(least[name], (time.thread_time() - started) / count * 1e6)
    for name, cost in least.items():
        print(f"{name}: {cost:.2f} µs")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        answer(int(sys.argv[1]), reliable=bool(int(sys.argv[2])))
    else:
        main()
