"""A bridge without sockets and clocks: who carries, what is carried, and what was missed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from ..message import Address
from ..strangers.bounded_map import BoundedMap
from ..strangers.rate_limit import RateLimit
from .control_packets import MOST_HOPS, Ask, Ends, Hello, pack, pack_ends, parse_or_none
from .role_and_statistics import BridgeRole
from .spanning_tree import SIDES, SpanningTree, Timing
from .uncarried import Uncarried

_REPEATS: Final = 3
"""How often a new end is announced: any packet may get lost."""

_ANNOUNCE_AGAIN: Final = 60.0
"""Seconds after which all ends are announced again."""

_FORGET: Final = 2.5 * _ANNOUNCE_AGAIN
"""Seconds after which an end that is not announced any more is forgotten: its address may be another's by now."""

_ASKS: Final = 3
"""How often a newcomer asks for the ends of the others."""

_TELLS_ALL: Final = 1.0
_TELLS_ALL_AT_ONCE: Final = 2 * _ASKS
"""How often a second, and how often at once, it announces all its ends to those who ask: strangers may."""

_MOST_ENDS: Final = 65_536
"""Ends of other bridges that are remembered, on each side."""

_MOST_BRIDGES: Final = 4096
"""Bridges that are remembered, on each side."""

_MEMORY: Final = 1.5
"""Takeovers long: what is older was not missed because of this one."""

Path = tuple[int, ...]
"""Numbers of the bridges that a message has crossed."""

ControlPackets = list[tuple[int, bytes]]
"""Packets for other bridges, each with the side that it goes to."""


class _ForeignEnd(NamedTuple):
    """An end of another bridge.

    Attributes:
        path: what its messages have crossed.
        at: when that was last announced.
    """

    path: Path
    at: float


class _OwnEnd:
    """An end of this bridge, as it is announced to others."""

    __slots__ = ("addresses", "path", "repeats")

    def __init__(self, addresses: frozenset[Address], path: Path) -> None:
        self.addresses = addresses
        self.path = path
        self.repeats = _REPEATS


class BridgeMachine:
    """Takes control packets, what was heard, and the time; says what to carry and which control packets to send.

    Args:
        ports: of the bridged group on each side.
        takeover: seconds within which another bridge carries after this one's end.
        random: for what must differ between bridges.
        now: seconds.

    Attributes:
        number: of this bridge.
        missed, looped, takeovers: as in :class:`BridgeStatistics`.
    """

    def __init__(self, ports: tuple[int, int], takeover: float, random: Random, now: float) -> None:
        self.timing = Timing.for_takeover(takeover)
        self._tree = SpanningTree(ports, self.timing, random, now)
        self.number = self._tree.number
        self._ports = ports
        self._own: tuple[dict[object, _OwnEnd], dict[object, _OwnEnd]] = {}, {}
        self._own_addresses: list[frozenset[Address]] = [frozenset(), frozenset()]
        self._foreign_ends: tuple[BoundedMap[Address, _ForeignEnd], ...] = tuple(BoundedMap(_MOST_ENDS) for _ in SIDES)
        self._bridges: tuple[BoundedMap[int, None], ...] = tuple(BoundedMap(_MOST_BRIDGES) for _ in SIDES)
        self._uncarried = Uncarried(_MEMORY * takeover)
        self._asks = _ASKS
        self._was_asked = [False, False]
        self._now = now
        self._tells_all = [RateLimit(_TELLS_ALL, _TELLS_ALL_AT_ONCE, lambda: self._now) for _ in SIDES]
        self._announces_again_at = now + _ANNOUNCE_AGAIN
        self._role = BridgeRole.LISTENING
        self._had_a_role = False
        self.missed = self.looped = self.takeovers = 0

    @property
    def role(self) -> BridgeRole:
        return self._role

    def may_carry(self, now: float) -> bool:
        """Whether it carries at this moment."""
        return self._tree.may_carry(now)

    def tick(self, now: float) -> ControlPackets:
        """Do what is due, every ``timing.tick``; returns control packets and the sides that they go to."""
        self._now = now
        if now >= self._announces_again_at:
            self._announces_again_at = now + _ANNOUNCE_AGAIN
            self._was_asked = [True, True]
            for foreign in self._foreign_ends:
                for address in [address for address, end in foreign.items() if now - end.at > _FORGET]:
                    del foreign[address]
        self._tree.tick(now)
        packets = self._follow_tree(now)
        if self._asks:
            self._asks -= 1
            packets += [(side, pack(Ask(self._ports[side]))) for side in SIDES]
        for side in SIDES:
            everything = self._was_asked[side] and self._tells_all[side].allows()
            if everything:
                self._was_asked[side] = False
            packets += self._announce_ends(side, everything=everything)
        return packets

    def hear_control(self, side: int, data: bytes, now: float) -> ControlPackets:
        """Take what came on a side's control port; returns packets as :meth:`tick` does."""
        packet = parse_or_none(data, self._ports[side])
        if isinstance(packet, Hello):
            if packet.bridge.number != self.number:
                self._bridges[side].use(packet.bridge.number, _nothing)
            self._tree.hear(side, packet, now)
            return self._follow_tree(now)
        if isinstance(packet, Ends):
            for end in packet.ends:
                if end.path[-1] == self.number:
                    continue
                self._bridges[side].use(end.path[-1], _nothing)
                foreign = _ForeignEnd(end.path, now)
                for address, port in end.addresses:
                    key = address.partition("%")[0], port
                    self._foreign_ends[side].use(key, lambda _, foreign=foreign: foreign)
                    self._foreign_ends[side][key] = foreign
        elif isinstance(packet, Ask):
            self._was_asked[side] = True
        return []

    def farewell(self) -> ControlPackets:
        """The hellos that say that this bridge leaves."""
        return [(side, pack(hello)) for side, hello in self._tree.farewell()]

    def has_end(self, side: int, end: object, addresses: frozenset[Address], path: Path) -> ControlPackets:
        """From now on ``end`` is one of this bridge's on ``side``; returns packets as :meth:`tick` does."""
        self._own[side][end] = _OwnEnd(addresses, path)
        self._refresh(side)
        return self._announce_ends(side)

    def had_end(self, side: int, end: object) -> None:
        """``end`` is gone."""
        if self._own[side].pop(end, None) is not None:
            self._refresh(side)

    def moved(self, side: int, end: object, addresses: frozenset[Address]) -> None:
        """``end`` has other addresses now."""
        found = self._own[side].get(end)
        if found is not None and found.addresses != addresses:
            self._own[side][end] = _OwnEnd(addresses, found.path)
            self._refresh(side)

    def path_of(self, side: int, sender: Address) -> Path:
        """The bridges that messages of ``sender`` have crossed on their way to ``side``."""
        if not self._foreign_ends[side]:
            return ()
        foreign = self._foreign_ends[side].get((sender[0].partition("%")[0], sender[1]))
        return () if foreign is None else foreign.path

    def path_across(self, side: int, sender: Address, payloads: Sequence[bytes], now: float) -> Path | None:
        """Whether this bridge is to carry messages of ``sender``, heard in the group on ``side``.

        Returns:
            The bridges that they have crossed then; None if they are not to be carried.
        """
        if sender in self._own_addresses[side]:
            return None
        path = self.path_of(side, sender)
        if self.number in path or len(path) >= MOST_HOPS:
            self.looped += len(payloads) * self.may_carry(now)
            return None
        if self.may_carry(now):
            return None if self._is_copy(side, sender) else (*path, self.number)
        self._uncarried.hear(side, sender, payloads, now)
        return None

    def _is_copy(self, side: int, sender: Address) -> bool:
        """Whether a bridge beside this one sends this, so that it is of the other side."""
        path = self.path_of(side, sender)
        return bool(path) and path[-1] in self._bridges[1 - side]

    def _follow_tree(self, now: float) -> ControlPackets:
        """Take the role that the tree gives, and say hello where that is due."""
        tree = self._tree
        if tree.loop:
            role = BridgeRole.LOOP
        elif tree.is_listening or (not tree.carries and not self._had_a_role and tree.is_elected):
            role = BridgeRole.LISTENING
        else:
            role = BridgeRole.CARRYING if tree.carries else BridgeRole.STANDING_BY
        if role is not self._role:
            self._role = role
            if role is BridgeRole.CARRYING:
                self.takeovers += 1
                if self._had_a_role:
                    self.missed += self._uncarried.count(self._is_copy, now)
            if role in (BridgeRole.CARRYING, BridgeRole.STANDING_BY):
                if role is BridgeRole.CARRYING or not self._had_a_role:  # else what it did not carry may yet be missed
                    self._uncarried.clear()
                self._had_a_role = True
        return [(side, pack(hello)) for side, hello in tree.hellos(now)]

    def _announce_ends(self, side: int, *, everything: bool = False) -> ControlPackets:
        new: list[tuple[frozenset[Address], Path]] = []
        for end in self._own[side].values():
            if everything or end.repeats:
                end.repeats = max(0, end.repeats - 1)
                new.append((end.addresses, end.path))
        return [(side, packet) for packet in pack_ends(self._ports[side], new)]

    def _refresh(self, side: int) -> None:
        self._own_addresses[side] = frozenset().union(*(end.addresses for end in self._own[side].values()))


def _nothing(_key: object) -> None:
    return None
