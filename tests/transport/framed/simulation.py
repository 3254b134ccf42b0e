"""Ends of a reliable channel on a network in virtual time that loses, repeats and delays packets as it is told."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from random import Random

from rx_multicast_ipc import Reliable
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.transport.framed.endpoint import Endpoint
from rx_multicast_ipc.transport.framed.packet_codec import parse
from rx_multicast_ipc.transport.framed.packets import Data, Packet, Status
from rx_multicast_ipc.transport.framed.reassembly import Delivery, Hole

PACKET = 1400


class Simulation:
    """A network, and its clock.

    Args:
        loss, duplication, reordering: fractions of the copies of a packet, each receiver's on its own.
        latency: seconds one way.
        jitter: seconds more that a packet that is overtaken takes.
        seed: of all that is drawn.

    Attributes:
        fate: of one copy, from a sender to a receiver: True loses it. In place of ``loss``.
        bandwidth: bytes a second of every sender's link; ``queue`` packets wait for it.
    """

    def __init__(
        self,
        *,
        loss: float = 0.0,
        duplication: float = 0.0,
        reordering: float = 0.0,
        latency: float = 0.001,
        jitter: float = 0.005,
        seed: int = 0,
        bandwidth: float = math.inf,
        queue: int = 1000,
    ) -> None:
        self.now = 1000.0
        self.random = Random(seed)
        self.fate: Callable[[Node, Node, bytes], bool] = lambda _source, _target, _packet: self.random.random() < loss
        self.duplication, self.reordering, self.latency, self.jitter = duplication, reordering, latency, jitter
        self.bandwidth, self.queue = bandwidth, queue
        self.nodes: dict[Address, Node] = {}
        self.packets: list[tuple[float, Node, Packet]] = []
        self.keeps_packets = False
        self.overflowed = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._cut: set[Node] = set()

    def add(self, options: Reliable | None = None, port: int | None = None, *, announces: bool = True) -> Node:
        """Another end; ``announces`` says whether it tells that it is there."""
        address = "10.0.0.1", port or 5000 + len(self.nodes)
        node = self.nodes[address] = Node(self, address, options or Reliable())
        if announces:
            node.endpoint.announce(self.now)
        node.poll()
        return node

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), action))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; whether ``until`` came to hold."""
        end = self.now + seconds
        while not until():
            if not self._events or self._events[0][0] > end:
                self.now = end
                return until()
            self.now, _, action = heapq.heappop(self._events)
            action()
        return True

    def cut_off(self, node: Node) -> None:
        """Lose everything that one end sends, and all that is sent to it."""
        self._cut.add(node)

    def heal(self) -> None:
        self._cut.clear()

    def carry(self, source: Node, packet: bytes, destination: Address | None) -> None:
        if self.keeps_packets:
            self.packets.append((self.now, source, parse(packet)))
        departure = self.now
        if self.bandwidth < math.inf:
            through = self.leave(source, len(packet) + 42)
            if through is None:
                return
            departure = through
        for address, target in list(self.nodes.items()):
            if target is source or destination not in (None, address):
                continue
            for _ in range(1 + (self.random.random() < self.duplication)):
                if source in self._cut or target in self._cut or self.fate(source, target, packet):
                    continue
                late = self.random.random() * self.jitter if self.random.random() < self.reordering else 0.0
                arrival = departure + self.latency + late
                self.at(arrival, lambda target=target: target.receive(packet, source, destination is not None))

    def leave(self, source: Node, size: int) -> float | None:
        """When so many bytes have left the sender's link; None if its queue is full."""
        if (source.link_free - self.now) * self.bandwidth > self.queue * (PACKET + 42):
            self.overflowed += 1
            return None
        source.link_free = max(self.now, source.link_free) + size / self.bandwidth
        return source.link_free

    def requests(self) -> list[Status]:
        """The statuses that asked for repairs."""
        return [packet for _, _, packet in self.packets if isinstance(packet, Status) and packet.missing]

    def data(self) -> list[Data]:
        return [p for _, _, p in self.packets if isinstance(p, Data)]


class Node:
    """One end.

    Attributes:
        heard: what it delivered, with the sender's port, holes among it.
        payloads, holes: the same, apart.
        stopped: whether it reads nothing, as a stopped process.
    """

    def __init__(self, network: Simulation, address: Address, options: Reliable) -> None:
        self.network = network
        self.address = address
        self.endpoint = Endpoint(options, PACKET, 0, Random(network.random.random()), network.now)
        self.heard: list[tuple[int, bytes | Hole]] = []
        self.payloads: list[bytes] = []
        self.holes: list[Hole] = []
        self.stopped = self.crashed = False
        self.link_free = 0.0
        self._due = math.inf
        self._waiting: list[tuple[bytes, Node, bool]] = []
        self._to_send: list[tuple[bytes, Address | None]] = []

    def send(self, *messages: bytes, to: Node | None = None) -> None:
        """Send as soon as there is room, in order."""
        self._to_send += [(message, to and to.address) for message in messages]
        self.poll()

    @property
    def sent_all(self) -> bool:
        return not self._to_send and self.endpoint.drained

    def receive(self, packet: bytes, source: Node, direct: bool) -> None:
        if self.crashed:
            return
        if self.stopped:
            self._waiting.append((packet, source, direct))
            return
        self.endpoint.receive(packet, source.address, direct, None, self.network.now)
        self.poll()

    def resume(self, keep: int = 100) -> None:
        """Read again, a packet after the other; what did not fit in the receive buffer is lost."""
        self.stopped = False
        for packet, source, direct in self._waiting[:keep]:
            self.endpoint.receive(packet, source.address, direct, None, self.network.now)
            self.poll()
        self._waiting.clear()
        self.poll()

    def crash(self) -> None:
        """End without a word."""
        self.crashed = True
        self.network.nodes.pop(self.address, None)

    def poll(self) -> None:
        if self.crashed or self.stopped:
            return
        endpoint, network = self.endpoint, self.network
        while True:
            taken = 0
            while self._to_send and endpoint.has_room(self._to_send[0][1]):
                message, to = self._to_send.pop(0)
                taken += endpoint.send([message], to, network.now)
            datagrams = endpoint.datagrams(network.now)
            for packet, destination in datagrams:
                network.carry(self, packet, destination)
            if not taken:
                break
        for event in endpoint.events:
            if isinstance(event.what, Delivery):
                self.payloads += event.what.messages
                self.heard += [(event.sender[1], message) for message in event.what.messages]
            else:
                self.holes.append(event.what)
                self.heard.append((event.sender[1], event.what))
        endpoint.events.clear()
        due = max(endpoint.timer(), network.now)
        if due < self._due - 1e-9 or self._due < network.now:
            self._due = due
            if due < math.inf:
                network.at(due + 1e-7, self._on_timer)

    def _on_timer(self) -> None:
        if self.network.now >= self._due:
            self._due = math.inf
            self.poll()
