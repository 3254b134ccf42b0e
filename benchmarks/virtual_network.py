"""What the virtual network costs: ``python -m benchmarks.virtual_network [passes]``; medians are told.

Every host has a channel with a subscriber. Links have latency, jitter and loss, so that nearly every delivery is a
moment of its own. What is measured is the processor's time of the one thread that all takes, without building the
network.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from random import Random
from statistics import median

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork
from rx_multicast_ipc.transport.virtual.link import LinkOptions

LOSS = 0.05
LINKS: LinkOptions = {"latency": 0.2, "jitter": 0.1, "loss": LOSS}
HOSTS = 10_000
ROOMS = (2, 5, 10)
DELIVERIES = (1_000, 10_000, 100_000, 1_000_000)
FIRST_PORT = 1024


class Hosts:
    """So many hosts on one network, each with a channel whose messages are counted.

    Args:
        count: how many.
        room: how many of them share a port, and so hear each other.
        link: what every link is like.
    """

    def __init__(self, count: int, room: int, link: LinkOptions) -> None:
        self.clock = VirtualClock()
        self.heard = 0
        network = VirtualNetwork(self.clock, seed=1, **link)
        self.channels = [network.open_channel(FIRST_PORT + number // room) for number in range(count)]
        for channel in self.channels:
            channel.messages.subscribe(self._count)

    def speak(self, phases: Random) -> None:
        """Let each host send a message a second, at a phase of its own, for ever."""
        for channel in self.channels:
            self._send_later(channel, phases.random())

    def _count(self, _: ipc.Message) -> None:
        self.heard += 1

    def _send_later(self, channel: ipc.Channel, seconds: float) -> None:
        def send(_scheduler: object, _state: object) -> None:
            channel.broadcast(b"a message of some 32 bytes' length").subscribe()
            self._send_later(channel, 1.0)

        self.clock.schedule_relative(seconds, send)


def everyone_speaks(room: int) -> tuple[float, float]:
    """Virtual seconds a second, and deliveries a virtual second, where each host sends a message a second."""
    network = Hosts(HOSTS, room, LINKS)
    network.speak(Random(1))
    network.clock.advance_to(1.0)  # until there is as much on the way as there will be
    before = network.heard
    spent = timed(lambda: network.clock.advance_by(1.0))
    return 1.0 / spent, network.heard - before


def one_to_all() -> float:
    """Milliseconds until one message has been heard by every host, all at one moment."""
    network = Hosts(HOSTS, HOSTS, {"latency": 0.2})

    def send() -> None:
        network.channels[0].broadcast(b"to all").subscribe()
        network.clock.advance_by(1.0)

    spent = timed(send)
    assert network.heard == HOSTS
    return spent * 1e3


def deliver(count: int) -> float:
    """Microseconds a delivery, of about so many in a room of ten."""
    room = Hosts(10, 10, LINKS)
    room.speak(Random(1))
    seconds = count / 10 / (1 + 9 * (1 - LOSS))  # a host hears itself without loss
    return timed(lambda: room.clock.advance_to(seconds)) / room.heard * 1e6


def timed(action: Callable[[], object]) -> float:
    """Seconds of processor time."""
    gc.collect()
    started = time.process_time()
    action()
    return time.process_time() - started


def main(passes: int) -> None:
    deliver(10_000)  # Python's own warming up
    print(
        f"| {HOSTS:,} hosts, each sends a message a second | deliveries a virtual second | virtual seconds a second |"
    )
    print("|---|--:|--:|")
    for room in ROOMS:
        found = [everyone_speaks(room) for _ in range(passes)]
        print(f"| in rooms of {room} | {found[0][1]:,} | {median(speed for speed, _ in found):.2f} |")
    print(f"\nOne message to {HOSTS:,} hosts: {median(one_to_all() for _ in range(passes)):.0f} ms.\n")
    print("| deliveries | \u00b5s each | of the first |")
    print("|--:|--:|--:|")
    passed = [[deliver(count) for count in DELIVERIES] for _ in range(passes)]
    for number, count in enumerate(DELIVERIES):
        cost = median(costs[number] for costs in passed)
        ratio = median(costs[number] / costs[0] for costs in passed)
        print(f"| {count:,} | {cost:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
