"""Any graph of segments and bridges has a tree of bridges that carry, and gets another one when one of them ends."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rx_multicast_ipc.bridging.control_packets import HIGHEST_RANK, Hello, Identity, pack, parse_or_none
from rx_multicast_ipc.bridging.spanning_tree import SIDES, SpanningTree, Timing

TAKEOVER = 0.8
TIMING = Timing.for_takeover(TAKEOVER)

Edges = list[tuple[int, int]]


class Simulation:
    """Bridges, each between two segments, and the hellos on their way."""

    def __init__(self, edges: Edges, *, seed: int = 0, latency: float = 0.002, loss: float = 0.0) -> None:
        self.edges = edges
        self.now = 0.0
        self.hellos = 0
        self._random = Random(seed)
        self._latency = latency
        self._loss = loss
        self._queue: list[tuple[float, int, int, tuple[int, Hello] | None]] = []
        self._order = count()
        self.trees: dict[int, SpanningTree] = {}
        for number in range(len(edges)):
            self.open(number)

    def open(self, number: int) -> None:
        self.trees[number] = SpanningTree((1, 1), TIMING, self._random, self.now)
        self._push(self._random.random() * TIMING.tick, number, None)

    def run_until(self, end: float) -> None:
        while self._queue and self._queue[0][0] <= end:
            self.now, _, number, heard = heappop(self._queue)
            tree = self.trees.get(number)
            if tree is None:
                continue
            if heard is None:
                tree.tick(self.now)
                self._push(TIMING.tick, number, None)
            else:
                tree.hear(*heard, self.now)
            self.say(number, tree.hellos(self.now))
            assert not cyclic([self.edges[other] for other in self.carrying])
        self.now = end

    def say(self, number: int, said: list[tuple[int, Hello]]) -> None:
        for side, hello in said:
            self.hellos += 1
            for other in self.trees:
                for other_side in SIDES:
                    same = self.edges[other][other_side] == self.edges[number][side]
                    if same and (other, other_side) != (number, side) and self._random.random() >= self._loss:
                        self._push(self._latency * (0.5 + self._random.random()), other, (other_side, hello))

    @property
    def carrying(self) -> list[int]:
        return [number for number, tree in self.trees.items() if tree.may_carry(self.now)]

    def _push(self, delay: float, number: int, heard: tuple[int, Hello] | None) -> None:
        heappush(self._queue, (self.now + delay, next(self._order), number, heard))


def cyclic(edges: Edges) -> bool:
    parts: dict[int, int] = {}

    def find(segment: int) -> int:
        while parts.get(segment, segment) != segment:
            segment = parts[segment]
        return segment

    for one, other in edges:
        if find(one) == find(other):
            return True
        parts[find(one)] = find(other)
    return False


def reach(edges: Edges, start: int) -> set[int]:
    found, grown = {start}, True
    while grown:
        more = {segment for edge in edges if found & set(edge) for segment in edge}
        grown = not more <= found
        found |= more
    return found


def assert_joined(simulation: Simulation) -> None:
    """Carrying bridges reach whatever any bridges reach, and none of them is one too many."""
    alive = [simulation.edges[number] for number in simulation.trees]
    carrying = [simulation.edges[number] for number in simulation.carrying]
    for segment in {segment for edge in alive for segment in edge}:
        assert reach(carrying, segment) == reach(alive, segment)
    assert not cyclic(carrying)


graphs = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(lambda e: e[0] != e[1]), min_size=1, max_size=8
)


@settings(max_examples=25)
@given(graphs, st.integers(0, 1000))
def test_in_any_graph_the_bridges_that_carry_are_a_tree_at_every_moment(edges: Edges, seed: int) -> None:
    simulation = Simulation(edges, seed=seed)
    simulation.run_until(2.5)
    assert_joined(simulation)


@settings(max_examples=25)
@given(graphs, st.integers(0, 1000))
def test_a_killed_bridge_is_replaced_in_time_wherever_there_is_another_way(edges: Edges, seed: int) -> None:
    simulation = Simulation(edges, seed=seed)
    simulation.run_until(2.5)
    for _ in range(2):
        if simulation.carrying:
            del simulation.trees[Random(seed).choice(simulation.carrying)]
            simulation.run_until(simulation.now + 1.0)
            assert_joined(simulation)


@settings(max_examples=15)
@given(graphs, st.integers(0, 1000))
def test_who_says_farewell_is_replaced_in_time_too(edges: Edges, seed: int) -> None:
    simulation = Simulation(edges, seed=seed)
    simulation.run_until(2.5)
    for number in simulation.carrying:
        simulation.say(number, simulation.trees.pop(number).farewell())
        simulation.run_until(simulation.now + 1.0)
        assert_joined(simulation)


def test_beside_others_who_says_farewell_is_replaced_without_waiting_for_its_silence() -> None:
    simulation = Simulation([(0, 1), (0, 1)])
    simulation.run_until(2.5)
    (number,) = simulation.carrying
    simulation.say(number, simulation.trees.pop(number).farewell())
    simulation.run_until(simulation.now + TIMING.delay + TIMING.tick + 0.01)
    assert len(simulation.carrying) == 1


@settings(max_examples=15)
@given(graphs, st.integers(0, 1000))
def test_a_newcomer_beside_others_takes_nobodys_place(edges: Edges, seed: int) -> None:
    simulation = Simulation([*edges, edges[0]], seed=seed)
    newcomer = len(edges)
    del simulation.trees[newcomer]
    simulation.run_until(2.5)
    before = simulation.carrying
    simulation.open(newcomer)
    simulation.run_until(5.0)
    assert simulation.carrying == before


def test_a_bridge_that_was_stopped_does_not_carry_what_waited_meanwhile() -> None:
    simulation = Simulation([(0, 1), (0, 1)])
    simulation.run_until(2.0)
    (stopped,) = simulation.carrying
    tree = simulation.trees.pop(stopped)
    simulation.run_until(3.0)
    (other,) = simulation.carrying
    assert not tree.may_carry(simulation.now)
    tree.tick(simulation.now)
    assert tree.is_listening
    simulation.trees[stopped] = tree
    simulation._push(0.0, stopped, None)  # pyright: ignore[reportPrivateUsage]
    simulation.run_until(6.0)
    assert simulation.carrying == [other]


def test_a_bridge_whose_sides_are_one_segment_carries_nothing() -> None:
    simulation = Simulation([(0, 0)])
    simulation.run_until(2.0)
    assert simulation.trees[0].loop
    assert simulation.carrying == []


def test_only_the_designated_bridge_speaks_on_a_segment_with_many() -> None:
    simulation = Simulation([(0, site) for site in range(1, 31)])
    simulation.run_until(2.5)
    assert len(simulation.carrying) == 30
    before = simulation.hellos
    simulation.run_until(3.5)
    on_each_segment = TIMING.hello_interval**-1
    assert simulation.hellos - before <= 31 * (on_each_segment + 1)


def test_hellos_that_get_lost_cost_no_second_carrier() -> None:
    simulation = Simulation([(0, 1), (0, 1), (0, 1)], loss=0.2, seed=3)
    simulation.run_until(2.0)
    simulation.run_until(20.0)  # checked at each moment
    assert len(simulation.carrying) == 1


def test_a_stranger_that_claims_the_last_place_leaves_bridges_able_to_understand_each_other() -> None:
    simulation = Simulation([(0, 1), (0, 1)])
    last = Identity(HIGHEST_RANK, HIGHEST_RANK)
    for tree in simulation.trees.values():
        tree.hear(0, Hello(1, last, last, 0, 0.0), 0.0)
    simulation.run_until(2.0)
    assert_joined(simulation)
    for tree in simulation.trees.values():
        assert all(parse_or_none(pack(hello), 1) == hello for _, hello in tree.farewell())


@pytest.mark.parametrize("age", [TIMING.max_age, 3600.0])
def test_a_claim_that_is_too_old_counts_for_nothing(age: float) -> None:
    tree = SpanningTree((1, 1), TIMING, Random(1), 0.0)
    best = Identity(0, 0)
    for step in range(200):
        now = step * TIMING.tick
        tree.hear(0, Hello(1, best, best, 0, age), now)
        tree.hear(1, Hello(1, best, best, 0, age), now)
        tree.tick(now)
    assert tree.carries
