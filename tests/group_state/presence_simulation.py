"""Members on a lossy network in virtual time, without channels: quick enough for a hundred of them and an hour."""

from __future__ import annotations

import heapq
from itertools import count
from random import Random

from rx_multicast_ipc import Presence
from rx_multicast_ipc.group_state.presence.machine import CAME, MOVED, Outgoing, PresenceMachine
from rx_multicast_ipc.group_state.presence.packet import PresencePacket
from rx_multicast_ipc.message import Address


class Node:
    """One end.

    Attributes:
        gone: whom it called gone: seconds, name, why.
        came: who came, likewise.
    """

    def __init__(self, presence: Presence, number: int, random: Random, now: float) -> None:
        self.name = presence.name or f"watcher {number}"
        self.address: Address = f"10.0.{number // 250}.{number % 250 + 1}", 5000
        self.machine = PresenceMachine(presence, number + 1, self.address, random, now)
        self.crashed = False
        self.due = now
        self.came: list[tuple[float, str]] = []
        self.gone: list[tuple[float, str, str]] = []

    @property
    def names(self) -> list[str]:
        return sorted(member.name for member in self.machine.members)


class Simulation:
    """A network, and its clock.

    Args:
        loss: the fraction of packets that each receiver loses, on its own.
        latency: seconds one way.
        seed: of all that is drawn.

    Attributes:
        sent: packets so far; one to the group is one.
    """

    def __init__(self, *, loss: float = 0.0, latency: float = 0.001, seed: int = 0) -> None:
        self.now = 0.0
        self.loss = loss
        self.latency = latency
        self.random = Random(seed)
        self.nodes: list[Node] = []
        self.sent = 0
        self._queue: list[tuple[float, int, list[Node], PresencePacket | None, Address]] = []
        self._count = count()

    def add(self, presence: Presence) -> Node:
        node = Node(presence, len(self.nodes), Random(self.random.random()), self.now)
        self.nodes.append(node)
        self._wake(node, self.now)
        return node

    def leave(self, node: Node) -> None:
        self._carry(node, node.machine.leave())
        node.crashed = True

    def lose(self, node: Node, other: Node) -> None:
        """An engine tells ``node`` that ``other`` is gone."""
        node.machine.lose(other.address, self.now)
        node.due = self.now
        self._run_one(node, None, node.address)

    def run(self, until: float) -> None:
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, nodes, packet, source = heapq.heappop(queue)
            for node in nodes:
                if not node.crashed:
                    self._run_one(node, packet, source)
        self.now = until

    def _run_one(self, node: Node, packet: PresencePacket | None, source: Address) -> None:
        if packet is not None:
            node.machine.receive(packet, source, self.now)
            if not node.machine.changes and node.machine.timer() >= node.due:
                return
        elif self.now < node.due:
            return
        self._carry(node, node.machine.due(self.now))
        self._take(node)
        self._wake(node, node.machine.timer())

    def receive(self, node: Node, packet: PresencePacket, source: Address) -> None:
        """What a stranger sends to one end."""
        node.machine.receive(packet, source, self.now)
        self._take(node)
        self._wake(node, node.machine.timer())

    def _take(self, node: Node) -> None:
        for member, what in node.machine.changes:
            if what == CAME:
                node.came.append((self.now, member.name))
            elif what != MOVED:
                node.gone.append((self.now, member.name, what))
        node.machine.changes.clear()

    def _wake(self, node: Node, due: float) -> None:
        node.due = due
        if due < float("inf"):
            heapq.heappush(self._queue, (due, next(self._count), [node], None, node.address))

    def _carry(self, sender: Node, packets: list[Outgoing]) -> None:
        draw, loss, arrival = self.random.random, self.loss, self.now + self.latency
        for packet, destination in packets:
            self.sent += 1
            reached = [
                node
                for node in self.nodes
                if node is not sender and destination in (None, node.address) and draw() >= loss
            ]
            if reached:
                heapq.heappush(self._queue, (arrival, next(self._count), reached, packet, sender.address))
