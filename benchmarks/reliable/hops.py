"""What one hop costs on its way through a channel, without the kernel: from what was read to what is sent in answer.

``python -m benchmarks.reliable.hops [--hops 4000]``. Two ends, raw or reliable, answer each other on one thread over
transports that hand datagrams over in memory. *To the send* ends when the answer is handed to the transport, *whole*
when the delivery has returned; *processor* is all that a hop causes, acknowledgements and this loop among it. Cold hops
come after 2 MiB of other memory was read. Figures are the best of several blocks' medians, so that a busy machine moves
them little.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

from rx_multicast_ipc import Group, Message, Statistics
from rx_multicast_ipc.channel import Channel
from rx_multicast_ipc.channel_options import ChannelOptions
from rx_multicast_ipc.channel_scheduler import TimerScheduler
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.transport import Hears

GROUP = Group.of(61000)
TO_GROUP = GROUP.address, GROUP.port
_OTHER_MEMORY = b"\1" * (2 << 20)


class Handed:
    """A transport that hands datagrams to its peer in memory, when it is told to."""

    payload_limit = 65_507
    closed = ended = False

    def __init__(self, port: int) -> None:
        self.group = GROUP
        self.sender_address: Address = "127.0.0.1", port
        self.own_addresses = frozenset((self.sender_address,))
        self.scheduler = TimerScheduler(lambda: None)
        self.statistics = Statistics(receive_buffer=1 << 20)
        self.sent: deque[tuple[bytes, bool]] = deque()
        self.sent_at = 0
        self.deliver: Callable[[list[Message]], None] = lambda batch: None

    def __call__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Any:
        return self

    def start(self, deliver: Any, ended: Any, changed: Any = None) -> None:
        self.deliver = deliver

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        self.sent.append((payload, destination is not None))
        if destination is None:
            self.sent_at = time.perf_counter_ns()

    def send_many(self, payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            self.send(payload)

    def call(self, action: Callable[[], None]) -> None:
        action()

    def forget(self) -> None: ...


def hop_times(*, reliable: bool, echo: bool, cold: bool, hops: int) -> tuple[float, float, float]:
    """Microseconds of a hop, to the send and whole, and of processor with all that it causes."""
    ends = [Handed(5001), Handed(5002)]
    channels: list[Any] = [Channel(GROUP, end, {"reliable": reliable, "echo": echo}) for end in ends]
    for channel in channels:
        channel.messages.subscribe(partial(_answer, channel))
    _settle(ends)
    channels[0].broadcast(b"ping" + bytes(60)).subscribe()
    to_send: list[int] = []
    whole: list[int] = []
    begun = time.thread_time()
    while len(whole) < hops:
        for end, peer in (ends, ends[::-1]):
            while end.sent:
                data, direct = end.sent.popleft()
                host, port = end.sender_address
                message = Message(data, host, port, "IPv4", time.time(), direct, "", TO_GROUP)
                if cold:
                    _OTHER_MEMORY.find(0)
                peer.sent_at = 0
                before = time.perf_counter_ns()
                peer.deliver([message])
                after = time.perf_counter_ns()
                if peer.sent_at and not direct:
                    to_send.append(peer.sent_at - before)
                    whole.append(after - before)
            peer.scheduler.run_due(time.monotonic())
    return median(to_send) / 1e3, median(whole) / 1e3, (time.thread_time() - begun) / len(whole) * 1e6


def _answer(channel: Any, message: Message) -> None:
    if message.data.startswith(b"ping") and message.port != channel.sender_address[1]:
        channel.broadcast(message.data).subscribe()


def _settle(ends: list[Handed]) -> None:
    """Let them get to know each other."""
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        for end, peer in (ends, ends[::-1]):
            end.scheduler.run_due(time.monotonic())
            while end.sent:
                data, direct = end.sent.popleft()
                host, port = end.sender_address
                peer.deliver([Message(data, host, port, "IPv4", time.time(), direct, "", TO_GROUP)])
        time.sleep(0.001)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliable.hops", description=__doc__)
    parser.add_argument("--hops", type=int, default=4000)
    parser.add_argument("--blocks", type=int, default=5)
    options = parser.parse_args()
    print("| a channel | caches | to the send, us | whole, us | processor, us |\n|---|---|--:|--:|--:|")
    for cold in (False, True):
        found: dict[str, list[tuple[float, float, float]]] = {}
        for _ in range(options.blocks):
            for name, reliable, echo in (
                ("raw", False, False),
                ("reliable", True, False),
                ("reliable, echo", True, True),
            ):
                found.setdefault(name, []).append(hop_times(reliable=reliable, echo=echo, cold=cold, hops=options.hops))
        raw = [min(column) for column in zip(*found["raw"], strict=True)]
        for name, times in found.items():
            best = [min(column) for column in zip(*times, strict=True)]
            cells = " | ".join(f"{one:.1f} (+{one - least:.1f})" for one, least in zip(best, raw, strict=True))
            print(f"| {name} | {'cold' if cold else 'hot'} | {cells} |", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
