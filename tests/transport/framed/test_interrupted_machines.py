"""Ctrl-C at any place of the state machines of a reliable channel: all is heard, once, in order; nothing is stuck."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random

import pytest

from rx_multicast_ipc import Reliable
from rx_multicast_ipc.transport.framed.incoming import Incoming
from rx_multicast_ipc.transport.framed.packets import WHOLE, Data
from rx_multicast_ipc.transport.framed.reassembly import Event

from ...helpers import THOROUGH
from ...interrupts import interrupted_at, interrupted_often, traces_opcodes
from .simulation import Node, Simulation

pytestmark = traces_opcodes

PAUSE = 131
"""Places between two interrupts: the sweep begins at several of them in turn; with each, it comes to all places."""

OPTIONS = Reliable(window=16, patience=1.0, largest=40_000)


class World:
    """Two ends that know each other, and what each of them has sent."""

    def __init__(self) -> None:
        self.network = Simulation(seed=7)
        self.ends = [self.network.add(OPTIONS) for _ in range(2)]
        self.network.run(2.0)
        self.sent: dict[Node, list[bytes]] = {end: [] for end in self.ends}

    def send(self, end: Node, *messages: bytes, to: Node | None = None) -> None:
        self.sent[end] += messages
        end.send(*messages, to=to)

    def lose(self, *numbers: int) -> None:
        """Lose these of the copies that are on their way from now on, from 0."""
        passed = iter(range(1 << 30))
        self.network.fate = lambda _source, _target, _packet: next(passed) in numbers

    def run(self, seconds: float) -> None:
        """Let time pass. Whoever was interrupted is called again, as timers are."""
        for end in self.ends:
            end.poll()
        self.network.run(seconds)

    def check(self) -> None:
        """All was heard, and the ends hear each other still."""
        first, second = self.ends
        self.network.run(10.0)
        for number in range(3):
            self.send(first, b"after %d" % number)
            self.send(second, b"after %d" % number)
            self.network.run(1.0)
        self.network.run(5.0)
        for end, other in ((first, second), (second, first)):
            assert other.payloads == self.sent[end]
            assert not other.holes
            assert end.sent_all
            assert end.endpoint.counts.unacknowledged == 0


def one(world: World) -> None:
    world.send(world.ends[0], b"one")


def several_of_which_some_get_lost(world: World) -> None:
    world.lose(0, 2, 3, 7)
    for number in range(6):
        world.send(world.ends[0], b"%d" % number)
        world.network.run(0.002)


def a_large_one_of_which_parts_get_lost(world: World) -> None:
    world.lose(1, 4, 5, 12)
    world.send(world.ends[0], b"x" * 12_000, b"behind it")


def more_than_the_window(world: World) -> None:
    world.lose(3)
    world.send(world.ends[0], *[bytes([number]) * 1300 for number in range(30)])


def to_one_alone(world: World) -> None:
    world.lose(1)
    first, second = world.ends
    world.send(first, b"alone", b"and" * 1000, to=second)


def both_ways(world: World) -> None:
    world.lose(2, 3)
    first, second = world.ends
    for number in range(3):
        world.send(first, b"ping %d" % number)
        world.send(second, b"pong %d" % number)
        world.network.run(0.003)


SCENES: list[Callable[[World], None]] = [
    one,
    several_of_which_some_get_lost,
    a_large_one_of_which_parts_get_lost,
    more_than_the_window,
    to_one_alone,
    both_ways,
]

FIRST = range(1, PAUSE + 1, 3 if THOROUGH else 16)


@pytest.mark.parametrize("scene", SCENES, ids=[scene.__name__.replace("_", " ") for scene in SCENES])
def test_all_is_heard_whatever_is_interrupted(scene: Callable[[World], None]) -> None:
    interrupts = 0
    for first in FIRST:
        world = World()
        scene(world)
        interrupts += interrupted_often(first, PAUSE, partial(world.run, 0.1))
        world.network.fate = lambda _source, _target, _packet: False
        world.check()
    assert interrupts > len(FIRST)


def packet(number: int) -> Data:
    return Data(7, number, WHOLE, 1, bytes(100))


def lacking_the_first() -> tuple[Incoming, list[Event]]:
    """A stream that holds packets 2 to 4, and what it delivers."""
    events: list[Event] = []
    stream = Incoming(7, ("a", 1), events, Reliable(), 1 << 20, 0.0, Random(1), 0.0, 1)
    for number in (4, 2, 3):
        stream.on_data(packet(number), None, 0.1)
    return stream, events


def test_what_was_taken_is_held_no_more_whatever_is_interrupted() -> None:
    for place in count(1):
        stream, events = lacking_the_first()
        reached = interrupted_at(place, partial(stream.on_data, packet(1), None, 0.2))
        for number in range(1, 9):
            stream.on_data(packet(number), None, 0.3)
        assert (stream.number, stream.buffered, len(events)) == (9, 0, 8)
        if not reached:
            assert place > 10
            break


def test_what_is_held_and_due_is_delivered_with_whatever_comes_next() -> None:
    for place in count(1):
        stream, events = lacking_the_first()
        reached = interrupted_at(place, partial(stream.on_data, packet(1), None, 0.2))
        for number in (1, 5):
            stream.on_data(packet(number), None, 0.3)
        assert len(events) == 5
        if not reached:
            break
