"""Which bridges carry: the spanning tree of IEEE 802.1D, for bridges with two sides. Pure: hellos and the time in.

How this works. Segments and the bridges between them are a graph, and messages that every bridge forwarded would go
round its cycles for ever. So bridges agree on a tree. The least :class:`Identity` is the root, and says so every
``hello_interval``; each bridge forwards that, away from the root, with the cost of its path. On each segment the bridge
with the best path to the root is the *designated* one, and it alone sends hellos there. A bridge carries messages if it
is designated on the side away from the root; the others stand by and listen. Bridges side by side between the same two
segments are the simplest cycle, so the election of one among several is the same thing.

A hello expires ``max_age`` after the root sent it, however often it was forwarded. A bridge that is elected then says
so, and waits ``delay`` for better claims before it carries: longer than ``max_age``, so that nobody acts any more on
the hellos of a root that is gone.

A bridge that was not run for so long that others may have taken over (its process was stopped, or its machine slept)
begins anew, as a newcomer, before it carries anything that waited meanwhile.
"""

from __future__ import annotations

import math
from random import Random
from typing import Final, NamedTuple

from .control_packets import HIGHEST_RANK, MOST_HOPS, Hello, Identity

SIDES: Final = (0, 1)


class Timing(NamedTuple):
    """Seconds; all follow from how soon another bridge is to take over.

    Attributes:
        hello_interval: between two hellos of the root.
        max_age: after which a hello of the root expires.
        delay: between being elected and carrying.
        listening: for which a newcomer listens before it sends a hello.
        grace: for which a bridge that carries goes on after it heard of a better one: while a new root is found, claims
            come in any order. Less than ``delay``, so that the two never carry at the same time.
        stall: longer than this between two ticks, and others may have taken over: ``max_age`` and ``delay`` after the
            last hello, so it is less than the rest of that.
        tick: between two calls of :meth:`SpanningTree.tick`, at most.
    """

    hello_interval: float
    max_age: float
    delay: float
    listening: float
    grace: float
    stall: float
    tick: float

    @classmethod
    def for_takeover(cls, seconds: float) -> Timing:
        """Another one carries within ``seconds`` after the last sign of life of the one before."""
        return cls(
            hello_interval=seconds * 3 / 32,
            max_age=seconds * 3 / 8,
            delay=seconds * 7 / 16,
            listening=seconds / 4,
            grace=seconds / 8,
            stall=seconds * 9 / 16,
            tick=seconds * 3 / 64,
        )


class _Heard(NamedTuple):
    """The best claim on one side.

    Attributes:
        root, cost, bridge: as in the hello.
        said_at: when the root said so.
    """

    root: Identity
    cost: int
    bridge: Identity
    said_at: float


class SpanningTree:
    """One bridge's part in the tree.

    Args:
        port: of the bridged group on each side.
        timing: the same for all bridges that can meet.
        random: for identities and for claims that are not made all at once.
        now: seconds.

    Attributes:
        number: of this bridge, random, the same for its whole life.
        carries: whether it is to carry messages.
        is_listening: whether it is a newcomer that does not know its place yet.
        loop: whether its two sides are one and the same segment, so that there is nothing to carry.
    """

    def __init__(self, ports: tuple[int, int], timing: Timing, random: Random, now: float) -> None:
        self.number = random.getrandbits(61)
        self.carries = False
        self._ports = ports
        self._timing = timing
        self._random = random
        self._begin(now)

    def _begin(self, now: float) -> None:
        self.carries = False
        self._identity: Identity | None = None
        self._speaks_at = now + self._timing.listening * (1 + self._random.random() / 4)
        self._highest_rank = -1
        self._heard: list[_Heard | None] = [None, None]
        self._own_on_other_side = -math.inf
        self._carries_at: float | None = None
        self._stops_at = math.inf
        self._ticked_at = now
        self._hello_due = [math.inf, math.inf]
        self._said_at = [-math.inf, -math.inf]
        self._was_root = False

    @property
    def is_listening(self) -> bool:
        return self._identity is None

    @property
    def is_elected(self) -> bool:
        """Whether it carries, or is about to."""
        return self._carries_at is not None

    @property
    def loop(self) -> bool:
        return self._own_on_other_side > -math.inf

    def may_carry(self, now: float) -> bool:
        """Whether it carries, and was run in time, so that nobody else can have taken over."""
        return self.carries and now - self._ticked_at <= self._timing.stall

    def hear(self, side: int, hello: Hello, now: float) -> None:
        """Take a hello of another bridge."""
        self._begin_anew_after_a_stall(now)
        if hello.bridge.number == self.number:
            self._own_on_other_side = now  # sent to one side and heard on the other: an end does not hear itself
            return
        self._highest_rank = max(self._highest_rank, hello.bridge.rank, hello.root.rank)
        best = self._current(side, now)
        if hello.leaving:
            if best is not None and best.bridge.number == hello.bridge.number:
                self._heard[side] = None
                self._elect(now)
            return
        if hello.age >= self._timing.max_age:
            return
        claim = _Heard(hello.root, hello.cost, hello.bridge, now - hello.age)
        if best is None or claim[:3] <= best[:3] or best.bridge.number == claim.bridge.number:
            self._heard[side] = claim
        self._elect(now)
        if self._identity is None:
            return
        root, cost, root_side = self._path_to_root(now)
        if side == root_side:  # the root is alive: forward it
            self._due(1 - side, now)
        elif (root, cost, self._identity) < claim[:3]:  # it knows no better: tell it
            self._due(side, max(now, self._said_at[side] + self._timing.hello_interval / 4))

    def tick(self, now: float) -> None:
        """Look what time brought: to be called every ``timing.tick``, and after :meth:`hear`."""
        self._begin_anew_after_a_stall(now)
        self._ticked_at = now
        if self._identity is None and now >= self._speaks_at:
            self._identity = Identity(min(self._highest_rank + 1, HIGHEST_RANK), self.number)
            for side in SIDES:
                self._due(side, now)
        if now - self._own_on_other_side > self._timing.max_age:
            self._own_on_other_side = -math.inf
        self._elect(now)

    def hellos(self, now: float) -> list[tuple[int, Hello]]:
        """What is to be said now, and on which sides."""
        self._begin_anew_after_a_stall(now)
        if self._identity is None:
            return []
        root, cost, root_side = self._path_to_root(now)
        age = 0.0
        if root_side is not None:
            heard = self._heard[root_side]
            if heard is not None:  # each hop adds to the age, so that no hello goes round for long
                age = max(0.0, now - heard.said_at) + self._timing.max_age / (MOST_HOPS + 1)
        said: list[tuple[int, Hello]] = []
        for side in SIDES:
            if now < self._hello_due[side] - self._timing.tick / 4:  # the next tick would be late
                continue
            self._hello_due[side] = now + self._timing.hello_interval if root_side is None else math.inf
            if side != root_side and self._is_designated(side, now):
                self._said_at[side] = now
                said.append((side, Hello(self._ports[side], self._identity, root, cost, age)))
        return said

    def farewell(self) -> list[tuple[int, Hello]]:
        """What is said at the end."""
        if self._identity is None:
            return []
        me = self._identity
        return [(side, Hello(self._ports[side], me, me, 0, 0.0, leaving=True)) for side in SIDES]

    def _begin_anew_after_a_stall(self, now: float) -> None:
        if now - self._ticked_at > self._timing.stall:
            self._begin(now)

    def _due(self, side: int, at: float) -> None:
        self._hello_due[side] = min(self._hello_due[side], at)

    def _current(self, side: int, now: float) -> _Heard | None:
        heard = self._heard[side]
        if heard is not None and now - heard.said_at >= self._timing.max_age:
            heard = self._heard[side] = None
        return heard

    def _path_to_root(self, now: float) -> tuple[Identity, int, int | None]:
        """The root, the cost of the path there, and the side on which it begins; None for the root itself."""
        assert self._identity is not None
        paths = [
            (heard.root, heard.cost + 1, heard.bridge, side)
            for side in SIDES
            if (heard := self._current(side, now)) is not None and heard.root < self._identity
        ]
        if not paths:
            return self._identity, 0, None
        root, cost, _, side = min(paths)
        return root, cost, side

    def _is_designated(self, side: int, now: float) -> bool:
        assert self._identity is not None
        heard = self._current(side, now)
        root, cost, _ = self._path_to_root(now)
        return heard is None or (root, cost, self._identity) < heard[:3]

    def _elect(self, now: float) -> None:
        if self._identity is None:
            return
        root_side = self._path_to_root(now)[2]
        if root_side is None and not self._was_root:  # claims of many are not made at once
            for side in SIDES:
                self._due(side, now + self._random.random() * self._timing.hello_interval / 2)
        self._was_root = root_side is None
        elected = not self.loop and all(side == root_side or self._is_designated(side, now) for side in SIDES)
        if elected:
            self._stops_at = math.inf
            if self._carries_at is None:
                self._carries_at = now + self._timing.delay
            self.carries = now >= self._carries_at
        else:
            if self._stops_at == math.inf:  # who is to carry instead does not do so yet
                self._stops_at = now + (0.0 if self.loop else self._timing.grace)
            if now >= self._stops_at or not self.carries:
                self.carries, self._carries_at = False, None
