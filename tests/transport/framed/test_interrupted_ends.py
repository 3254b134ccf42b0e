"""Ctrl-C at any place of a reliable or sealed end: nothing gets lost, nothing stays shut, everybody is told.

Signals come to the main thread: amid its calls and, where a loop of that thread reads, amid reading and timers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from rx_multicast_ipc import Key, Message, Reliable
from rx_multicast_ipc.subscribing.subscriber_errors import delivering_here
from rx_multicast_ipc.transport import WouldBlock

from ...helpers import THOROUGH
from ...interrupts import interrupted_at, interrupted_often, traces_opcodes
from .held_ends import HeldEnd, HeldNetwork

pytestmark = traces_opcodes

STRIDE = 5 if THOROUGH else 13
"""One in so many places is interrupted: with 1 here and below, which takes minutes, all of them."""

PAUSE = 173
"""Places between two interrupts where there are many: each of them is begun at in turn."""

FIRST = range(1, PAUSE + 1, 5 if THOROUGH else 25)
KEY, OTHER_KEY = Key(bytes(32)), Key(bytes(31) + b"1")
OPTIONS = Reliable(window=16, patience=1.0, largest=1 << 20)

KINDS: dict[str, tuple[Reliable | None, tuple[Key, ...]]] = {
    "reliable": (OPTIONS, ()),
    "reliable, sealed": (OPTIONS, (KEY,)),
    "sealed": (None, (KEY,)),
}


class World:
    """Two ends that know each other; the first one sends.

    Attributes:
        sent: what it sent, in order.
        unsure: what it sent and was interrupted at: that may have gone out, or not, but not twice.
        told: acknowledgements.
        waiting: what is to be sent once there is space.
    """

    def __init__(self, patch: pytest.MonkeyPatch, kind: str) -> None:
        self.network = HeldNetwork(patch)
        self.first, self.second = (HeldEnd(self.network, *KINDS[kind]) for _ in range(2))
        self.network.run(3.0)
        self.sent: list[bytes] = []
        self.unsure: set[bytes] = set()
        self.told: list[Any] = []
        self.waiting: deque[bytes] = deque()
        self._numbers = count()

    @property
    def reliable(self) -> bool:
        return hasattr(self.first.transport, "send_acknowledged")

    def payload(self, size: int = 0) -> bytes:
        return b"%d " % next(self._numbers) + bytes(size)

    def send(self, *sizes: int) -> None:
        """Send messages as soon as there is space, in order."""
        for size in sizes or (0,):
            self.waiting.append(self.payload(size))
        self.go_on()

    def go_on(self) -> None:
        """Send what waits, as an application does it: when there is space."""
        while self.waiting:
            payload = self.waiting[0]
            try:
                with delivering_here():
                    self.first.transport.send(payload)
            except WouldBlock:
                self.first.transport.when_writable(self.go_on)
                return
            except KeyboardInterrupt:
                self.unsure.add(self.waiting.popleft())
                raise
            self.sent.append(self.waiting.popleft())

    def interrupt(self, place: int, send: Send) -> bool:
        """Send a message, and interrupt that."""
        payload = self.payload()
        with delivering_here():
            reached = interrupted_at(place, partial(send, self, payload))
        if reached:
            self.unsure.add(payload)
        else:
            self.sent.append(payload)
        return reached

    def check(self) -> None:
        """All is as it should be, before anything else is sent and after."""
        self.first.link.space = True
        self.network.lose = lambda _: False
        self.network.run(5.0)
        self._compare()
        for _ in range(2):
            self.send()
            self.network.run(2.0)
        self.network.run(5.0)
        assert not self.waiting
        self._compare()
        for end in (self.first, self.second):
            assert end.gaps == []
            assert not end.link.writable
        if self.reliable:
            counts: Any = self.first.transport
            assert counts._endpoint.counts.unacknowledged == 0

    def _compare(self) -> None:
        for end in (self.first, self.second):
            assert [payload for payload in end.heard if payload not in self.unsure] == self.sent
            assert len(set(end.heard)) == len(end.heard)


Send = Callable[[World, bytes], object]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, kind: str) -> Callable[[], World]:
    return lambda: World(monkeypatch, kind)


def named(function: Any) -> str:
    return function.__name__.replace("_", " ")


def plainly(world: World, payload: bytes) -> None:
    world.first.transport.send(payload)


def together(world: World, payload: bytes) -> None:
    world.first.transport.send_many([payload])


def acknowledged(world: World, payload: bytes) -> None:
    transport: Any = world.first.transport
    transport.send_acknowledged(payload, world.told.append)


def at_first(_: World) -> None: ...


def amid_others(world: World) -> None:
    for _ in range(3):
        world.send()
        world.network.run(0.0001)


def after_a_while(world: World) -> None:
    world.send()
    world.network.run(30.0)


def with_a_full_send_buffer(world: World) -> None:
    world.send()
    world.network.run(0.1)
    world.first.link.space = False
    world.send()
    world.send()


STATES = [at_first, amid_others, after_a_while, with_a_full_send_buffer]


@pytest.mark.parametrize("state", STATES, ids=named)
@pytest.mark.parametrize("send", [plainly, together, acknowledged], ids=named)
def test_an_interrupted_send_holds_up_nothing(
    opened: Callable[[], World], kind: str, send: Send, state: Callable[[World], None]
) -> None:
    if kind == "sealed" and (send is acknowledged or state is with_a_full_send_buffer):
        pytest.skip("nothing of the kind there")
    for place in count(1, STRIDE):
        world = opened()
        state(world)
        reached = world.interrupt(place, send)
        world.network.run(0.01)
        world.check()
        if not reached:
            assert place > 10
            break


@pytest.mark.parametrize("send", [plainly, together], ids=named)
def test_what_a_signal_handler_sends_amid_a_send_is_heard(opened: Callable[[], World], send: Send) -> None:
    for place in count(1, STRIDE):
        world = opened()
        world.send()
        before, inside = world.payload(), world.payload()
        with delivering_here():
            reached = interrupted_at(
                place, partial(send, world, before), lambda world=world, inside=inside: send(world, inside)
            )
        world.network.run(3.0)
        expected = {*world.sent, before, *([inside] if reached else [])}
        for end in (world.first, world.second):
            assert sorted(end.heard) == sorted(expected)
        if not reached:
            assert place > 10
            break


def test_who_waits_for_space_goes_on(opened: Callable[[], World], kind: str) -> None:
    if kind == "sealed":
        pytest.skip("no window there")
    for place in count(1, 101 if THOROUGH else 409):
        world = opened()
        world.send()
        world.network.run(0.5)
        world.send(*[60_000] * 30)
        assert world.waiting
        reached = interrupted_at(place, partial(world.network.run, 0.0008))
        world.check()
        if not reached:
            assert place > 100
            break


def one(world: World) -> None:
    world.send()


def some_of_which_get_lost(world: World) -> None:
    numbers = count()
    world.network.lose = lambda _: next(numbers) in (0, 3)
    world.send()
    world.network.run(0.001)
    world.send(0, 5000)


def into_a_full_send_buffer(world: World) -> None:
    world.send()
    world.network.run(0.1)
    world.first.link.space = False
    world.send()
    world.send()
    world.first.link.space = True


def acknowledged_ones(world: World) -> None:
    for _ in range(2):
        payload = world.payload()
        acknowledged(world, payload)
        world.sent.append(payload)


@pytest.mark.parametrize("scene", [one, some_of_which_get_lost, into_a_full_send_buffer, acknowledged_ones], ids=named)
def test_nothing_is_lost_where_reading_and_timers_are_interrupted(
    opened: Callable[[], World], kind: str, scene: Callable[[World], None]
) -> None:
    if kind == "sealed":
        pytest.skip("an interrupted datagram is as one that was lost on the way")
    interrupts = 0
    for first in FIRST:
        world = opened()
        scene(world)
        until = world.network.now + 0.2
        interrupts += interrupted_often(
            first, PAUSE, lambda world=world, until=until: world.network.run(until - world.network.now)
        )
        world.check()
        assert len(world.told) == (2 if scene is acknowledged_ones else 0)
    assert interrupts > len(FIRST)


@pytest.mark.parametrize("again", [True, False], ids=["tried again", "not tried again"])
def test_an_interrupted_change_of_keys_shuts_nobody_out(opened: Callable[[], World], kind: str, again: bool) -> None:
    if kind == "reliable":
        pytest.skip("it has no key")
    for place in count(1, STRIDE):
        world = opened()
        world.send()
        world.network.run(0.5)
        world.second.transport.change_keys((KEY, OTHER_KEY))
        world.network.run(0.5)
        change = partial(world.first.transport.change_keys, (OTHER_KEY, KEY))
        reached = interrupted_at(place, change)
        if again:
            change()
        if kind == "sealed":
            world.network.run(1.0)
        world.check()
        if again or not reached:
            for end in (world.first, world.second):
                end.transport.change_keys((OTHER_KEY,))
            world.check()
        if not reached:
            assert place > 10
            break


@pytest.mark.parametrize("scene", [one, some_of_which_get_lost], ids=named)
def test_an_interrupted_close_is_finished_by_the_next(
    opened: Callable[[], World], scene: Callable[[World], None]
) -> None:
    for place in count(1, STRIDE):
        world = opened()
        scene(world)
        world.network.lose = lambda _: False
        first = world.first

        def close(world: World = world, first: HeldEnd = first) -> None:
            first.transport.close(wait=False)
            world.network.run(0.5)

        reached = interrupted_at(place, close)
        first.transport.close(wait=False)
        world.network.run(3.0)
        assert first.ends == 1
        assert first.link.closed
        assert first.transport.ended
        if world.reliable:
            assert world.second.heard == world.sent
        if not reached:
            assert place > 10
            break


def test_an_interrupted_start_is_made_up_for(opened: Callable[[], World]) -> None:
    for place in count(1, STRIDE):
        world = opened()
        first = world.first
        start = partial(first.transport.start, *first.takes)
        reached = interrupted_at(place, start)
        start()
        world.check()
        if not reached:
            break


def test_what_a_signal_handler_sends_amid_reading_and_timers_is_heard(opened: Callable[[], World], kind: str) -> None:
    if kind == "sealed":
        pytest.skip("it sends at once, whatever it interrupts")
    for place in count(1, STRIDE):
        world = opened()
        world.send()
        reached = interrupted_at(
            place, partial(world.network.run, 0.1), lambda world=world: world.first.transport.send(b"of a handler")
        )
        world.network.run(3.0)
        for end in (world.first, world.second):
            assert sorted(end.heard) == sorted([*world.sent, *([b"of a handler"] if reached else [])])
        if not reached:
            assert place > 10
            break


def test_what_a_signal_handler_closes_amid_reading_and_timers_ends(opened: Callable[[], World]) -> None:
    for place in count(1, STRIDE):
        world = opened()
        world.send()
        first = world.first
        reached = interrupted_at(
            place, partial(world.network.run, 0.1), lambda first=first: first.transport.close(wait=False)
        )
        world.network.run(3.0)
        if not reached:
            assert place > 10
            break
        assert first.ends == 1
        assert first.link.closed
        assert first.transport.ended


def test_what_was_read_as_ctrl_c_came_is_delivered_with_nothing_more_to_read(
    opened: Callable[[], World], kind: str
) -> None:
    if kind == "sealed":
        pytest.skip("an interrupted datagram is as one that was lost on the way")
    for place in count(1, 1 if THOROUGH else 3):
        world = opened()
        packets: list[bytes] = []
        world.network.lose = lambda packet, packets=packets: not packets.append(packet)
        for _ in range(3):
            world.send()
            world.network.run(0.001)
        address, port = world.first.link.sender_address
        batch = [Message(packet, address, port, "IPv4", world.network.now, False) for packet in packets]
        batch[1:3] = reversed(batch[1:3])
        with delivering_here():
            reached = interrupted_at(place, partial(world.second.link.deliver, batch))
        world.network.run(0.05)
        end: Any = world.second.transport
        assert not end._queue.ready
        assert not end._endpoint.events
        if not reached:
            assert place > 10
            assert world.second.heard == world.sent
            break
