"""What joins the hosts of a virtual network: who hears a datagram, when, and whether at all."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, count, takewhile
from random import Random
from typing import Final, NamedTuple, Protocol

import msgspec
from reactivex.scheduler import VirtualTimeScheduler

from ...channel_events import NetworkChange
from ...errors import CannotOpen, InvalidAddress, InvalidOption
from ...group import Group, Ip
from ...message import Address, Family, Message
from ..base import Hears
from .link import Link, LinkOptions, Passage

_EPHEMERAL_PORTS: Final = range(49_152, 65_536)
"""The ports that a system gives out by itself (RFC 6335, section 6)."""


_Room = tuple[str, int, bool]
"""A group's address and port, on loopback or not: whom those hear that are there."""

_NOBODY: Final[dict[End, tuple[str, ...]]] = {}


class Datagram(NamedTuple):
    """One datagram that a host sent.

    Attributes:
        sent_at: virtual seconds.
        source: the sender's ``(address, port)``.
        destination: the group's, or the one receiver's.
        payload: its bytes.
    """

    sent_at: float
    source: Address
    destination: Address
    payload: bytes


class Traffic(msgspec.Struct, frozen=True):
    """What became of the datagrams of a virtual network. A datagram to a group is a copy for each host that hears it.

    Attributes:
        sent: datagrams.
        delivered: copies that reached a receive buffer; where several channels of a host hear the group, one for each.
        lost: copies that links lost.
        duplicated: copies that links made more of.
        cut: copies that a partition, or an interface that was down, stopped.
    """

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    cut: int = 0


class End(Protocol):
    """What the wire needs to know of a transport."""

    @property
    def group(self) -> Group: ...

    @property
    def host(self) -> str: ...

    @property
    def sender_address(self) -> Address: ...

    @property
    def hears_itself(self) -> bool: ...

    def arrive(self, batch: list[Message]) -> None: ...

    def resume(self) -> None: ...

    def turn(self, change: NetworkChange) -> None: ...

    def close(self) -> None: ...


class Wire:
    """The hosts of a virtual network and the links between them.

    Every link between two hosts is of one kind unless it was given one of its own. What stays on a host
    takes no time and is not lost.

    Args:
        scheduler: its clock.
        link: what every link is like at first.
        seed: of everything that is drawn: the same seed and the same program give the same traffic.
        on_send: told of each datagram that was sent.
    """

    def __init__(
        self,
        scheduler: VirtualTimeScheduler,
        link: Link | None = None,
        seed: int | str = 0,
        on_send: Callable[[Datagram], object] | None = None,
    ) -> None:
        self.scheduler = scheduler
        self._on_send = on_send
        self._random = Random(seed)
        self._link = link or Link()
        self._links: dict[tuple[str, str], Link] = {}
        self._hosts: dict[str, dict[int, End]] = {}
        self._listeners: defaultdict[_Room, dict[End, tuple[str, ...]]] = defaultdict(dict)
        self._new_hosts = {"IPv4": count(1), "IPv6": count(1)}
        self._sides: dict[str, int] = {}
        self._down: set[str] = set()
        self.paused: set[str] = set()
        self._arrivals: dict[float, list[tuple[End, Message]]] = {}
        self._link_free: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._last_arrival: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._sent = self._delivered = self._lost = self._duplicated = self._cut = 0

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.scheduler.to_seconds(self.scheduler.now)

    @property
    def traffic(self) -> Traffic:
        """What was counted so far."""
        return Traffic(self._sent, self._delivered, self._lost, self._duplicated, self._cut)

    def add_host(self, address: str) -> str:
        """The host of that address, from now on if there was none."""
        ip = Ip.parse(address) if isinstance(address, str) else None
        if ip is None or ip.is_multicast or ip.is_loopback:
            raise InvalidAddress(f'a virtual host has a numeric address of its own such as "10.0.0.1", not {address!r}')
        host = str(ip)
        self._hosts.setdefault(host, {})
        return host

    def new_host(self, family: Family) -> str:
        """A host that was not there before: 10.0.0.1, 10.0.0.2, ..."""
        for number in takewhile(lambda number: number < 1 << 24, self._new_hosts[family]):
            host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" if family == "IPv4" else f"fd00::{number:x}"
            if host not in self._hosts:
                return self.add_host(host)
        raise CannotOpen("the virtual network has no address left")

    def free_port(self, host: str) -> int:
        """A port that no end on ``host`` has."""
        taken = self._hosts[host]
        newest = next(reversed(taken), _EPHEMERAL_PORTS[0] - 1)
        for port in chain(range(newest + 1, _EPHEMERAL_PORTS[-1] + 1), _EPHEMERAL_PORTS):
            if port not in taken:
                return port
        raise CannotOpen(f"host {host} has no port left; close channels that are no longer needed")

    def attach(self, end: End, hears: Hears) -> None:
        self._hosts[end.host][end.sender_address[1]] = end
        if hears is Hears.ALL:
            self._listeners[_room(end.group)][end] = end.group.sources

    def detach(self, end: End) -> None:
        del self._hosts[end.host][end.sender_address[1]]
        self._listeners[_room(end.group)].pop(end, None)

    def ends(self, host: str) -> list[End]:
        """What is open on ``host``, in the order in which it was opened."""
        return list(self._hosts[host].values())

    def set_link(self, hosts: Collection[str], one_way: bool, options: LinkOptions) -> None:
        """Change the link between two hosts, or, with no hosts, every link that has none of its own."""
        if not hosts:
            if one_way:
                raise InvalidOption("one_way needs the two hosts of a link, from the first of which it leads")
            self._link = msgspec.structs.replace(self._link, **options)
            return
        if len(hosts) != 2:
            raise InvalidOption(f"a link joins two hosts, not {len(hosts)}; name two, or none for every link")
        one, other = (self._known(host) for host in hosts)
        for pair in ((one, other),) if one_way else ((one, other), (other, one)):
            self._links[pair] = msgspec.structs.replace(self._links.get(pair, self._link), **options)

    def partition(self, sides: Iterable[Iterable[str]]) -> None:
        """Cut the network into sides; hosts that are in none are together on one of their own."""
        placed: dict[str, int] = {}
        for number, side in enumerate(sides, start=1):
            if isinstance(side, str):
                side = (side,)
            for host in side:
                if placed.setdefault(self._known(host), number) != number:
                    raise InvalidOption(f"host {host} cannot be on two sides of a partition")
        self._sides = placed

    def heal(self) -> None:
        """Make the network whole again."""
        self._sides = {}

    def take_down(self, host: str) -> None:
        """Cut one host off, so that it notices: its sends fail."""
        if self._known(host) not in self._down:
            self._down.add(host)
            self._turn(host, NetworkChange.DOWN)

    def bring_up(self, host: str) -> None:
        if self._known(host) in self._down:
            self._down.remove(host)
            self._turn(host, NetworkChange.UP)

    def pause(self, host: str) -> None:
        """Stop the reading on a host: what arrives waits in the receive buffers."""
        self.paused.add(self._known(host))

    def resume(self, host: str) -> None:
        self.paused.discard(self._known(host))
        for end in self.ends(host):
            end.resume()

    def carry(self, sender: End, payload: bytes, destination: Address) -> None:
        """Schedule the delivery of one datagram at every end that hears it; raises ``OSError`` as ``sendto`` does."""
        hearers = self._hearers(sender, destination)
        self._sent += 1
        now = self.now
        if self._on_send is not None:
            self._on_send(Datagram(now, sender.sender_address, destination, payload))
        direct = not _is_multicast(destination[0])
        host, (address, port), family = sender.host, sender.sender_address, sender.group.family
        usual = self._link.passage(len(payload), family)
        schedule, deliver = self.scheduler.schedule_relative, self._deliver
        message: Message | None = None
        passed: dict[str, tuple[float, ...]] = {}
        for end in hearers:
            times = passed.get(end.host)
            if times is None:  # it comes to a host once, however many hear it there
                times = passed[end.host] = self._passed(host, end.host, usual, len(payload), family, now)
            for arrival in times:
                if message is None or message.received_at != arrival:
                    message = Message(payload, address, port, family, arrival, direct)
                arrivals = self._arrivals.get(arrival)
                if arrivals is None:  # all that arrives at one moment is one action
                    self._arrivals[arrival] = [(end, message)]
                    schedule(arrival - now, deliver, arrival)
                else:
                    arrivals.append((end, message))

    def _hearers(self, sender: End, destination: Address) -> Iterable[End]:
        address, port = destination
        on_loopback = sender.group.is_loopback
        if not on_loopback and sender.host in self._down:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        ip = Ip.parse(address)
        if ip is None or ip.is_multicast:
            return self._members(sender, (str(ip), port))
        local = ip.is_loopback
        ends = self._hosts.get(sender.host if local else str(ip))
        if ends is None:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        end = ends.get(port)
        return () if end is None or (end.group.is_loopback and not local) else (end,)

    def _members(self, sender: End, group: Address) -> Iterator[End]:
        address, _ = sender.sender_address
        on_loopback = sender.group.is_loopback
        stays = on_loopback or sender.group.ttl == 0
        for end, sources in self._listeners.get((*group, on_loopback), _NOBODY).items():
            if end is sender and not sender.hears_itself:
                continue
            if (not stays or end.host == sender.host) and (not sources or address in sources):
                yield end

    def _passed(
        self, source: str, target: str, usual: Passage, size: int, family: Family, now: float
    ) -> tuple[float, ...]:
        """When the copies of one datagram arrive."""
        if source == target:
            return (now,)
        if (self._sides or self._down) and self._is_cut(source, target):
            self._cut += 1
            return ()
        link = self._links.get((source, target)) if self._links else None
        passage = usual if link is None else link.passage(size, family)
        departure = now
        if passage.seconds:
            free = self._link_free[source]
            departure = free[target] = max(now, free.get(target, 0.0)) + passage.seconds
        draw = self._random.random
        if passage.survival < 1.0 and draw() >= passage.survival:
            self._lost += 1
            return ()
        if not passage.duplication or draw() >= passage.duplication:
            return (self._arrival(passage, source, target, departure),)
        self._duplicated += 1
        return self._arrival(passage, source, target, departure), self._arrival(passage, source, target, departure)

    def _arrival(self, passage: Passage, source: str, target: str, departure: float) -> float:
        arrival = departure + passage.latency
        if not passage.jitter and not passage.reordering:
            return round(arrival, 6)
        draw = self._random.random
        if passage.jitter:
            arrival += draw() * passage.jitter
        if passage.reordering and draw() < passage.reordering:
            return round(arrival + draw() * (passage.latency + passage.jitter), 6)
        if passage.jitter:
            last = self._last_arrival[source]
            arrival = last[target] = max(arrival, last.get(target, 0.0))
        return round(arrival, 6)

    def _deliver(self, _scheduler: object, at: float | None) -> None:
        """What arrives at this moment: one batch for each end."""
        assert at is not None
        batches: dict[End, list[Message]] = {}
        for end, message in self._arrivals.pop(at):
            batch = batches.get(end)
            if batch is None:
                batches[end] = [message]
            else:
                batch.append(message)
        for end, batch in batches.items():
            if self._sides or self._down:  # what was on its way when the link broke
                whole, batch = batch, [one for one in batch if not self._is_broken(one, end)]
                self._cut += len(whole) - len(batch)
            if batch:
                self._delivered += len(batch)
                end.arrive(batch)

    def _is_broken(self, message: Message, end: End) -> bool:
        source = message.address
        return source != end.host and source in self._hosts and self._is_cut(source, end.host)

    def _is_cut(self, source: str, target: str) -> bool:
        return target in self._down or source in self._down or self._sides.get(source, 0) != self._sides.get(target, 0)

    def _turn(self, host: str, change: NetworkChange) -> None:
        for end in self.ends(host):
            end.turn(change)

    def _known(self, host: str) -> str:
        if host not in self._hosts:
            known = ", ".join(list(self._hosts)[:10]) or "none yet"
            raise InvalidAddress(f"there is no host {host!r} on this network; add it first, there are: {known}")
        return host


def _room(group: Group) -> _Room:
    return group.address, group.port, group.is_loopback


def _is_multicast(address: str) -> bool:
    ip = Ip.parse(address)
    return ip is not None and ip.is_multicast
