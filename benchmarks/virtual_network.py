"""The virtual network: how much faster than real time, and what a delivery costs: ``python -m benchmarks.virtual_network``.

Every host has a channel with a subscriber; links have latency, jitter and loss, so that nearly every delivery is a moment
of its own. Building the network is not counted, and what is measured is the processor's time of this one thread.
"""

from __future__ import annotations

import argparse
import gc
import time
from random import Random
from statistics import median

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork
from rx_multicast_ipc.transport.link import LinkOptions

LINKS: LinkOptions = {"latency": 0.2, "jitter": 0.1, "loss": 0.05}
ROOM = 10
PORTS = range(1024, 65_536)
DELIVERIES = (1_000, 10_000, 100_000, 1_000_000)


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
        self.channels = [network.open_channel(PORTS[number // room]) for number in range(count)]
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


def everyone_speaks(hosts: int, seconds: float) -> tuple[float, float]:
    """Virtual seconds a second, and microseconds a delivery, of a network on which each host sends once a second."""
    network = Hosts(hosts, ROOM, LINKS)
    network.speak(Random(1))
    network.clock.advance_to(1.0)  # until there is as much on the way as there will be
    before = network.heard
    spent = timed(lambda: network.clock.advance_by(seconds))
    return seconds / spent, spent / (network.heard - before) * 1e6


def one_to_all(hosts: int) -> float:
    """Milliseconds until a message that was sent to every host has been heard by each, all at one moment."""
    network = Hosts(hosts, hosts, {"latency": 0.2})

    def send() -> None:
        network.channels[0].broadcast(b"to all").subscribe()
        network.clock.advance_by(1.0)

    spent = timed(send)
    assert network.heard == hosts
    return spent * 1e3


def deliver(count: int) -> float:
    """Microseconds a delivery, of so many."""
    room = Hosts(ROOM, ROOM, LINKS)
    room.speak(Random(1))
    seconds = count / ROOM / (1 + (ROOM - 1) * (1 - LINKS["loss"]))  # a host hears itself without loss
    return timed(lambda: room.clock.advance_to(seconds)) / room.heard * 1e6


def timed(action) -> float:
    """Seconds of processor time."""
    gc.collect()
    gc.disable()
    started = time.process_time()
    action()
    spent = time.process_time() - started
    gc.enable()
    return spent


if __name__ == "__main__":
    print(everyone_speaks(10_000, 1.0))
    print(one_to_all(10_000))
    for n in DELIVERIES: print(n, deliver(n))
