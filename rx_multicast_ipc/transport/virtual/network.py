"""What joins the hosts of a virtual network: who hears a datagram, and when."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import count
from random import Random
from weakref import WeakKeyDictionary

import msgspec
from reactivex.scheduler import VirtualTimeScheduler

from ...channel_events import NetworkChange
from ...group import Group
from ...message import Address, Message
from ...validation.numeric_address import Ip
from ..base import Hears
from .arrivals import Arrival, Arrivals, Carried
from .datagram_records import Datagram, Traffic
from .group_listeners import NOBODY, GroupListeners, Recipients
from .host_interfaces import LOOPBACK_ADDRESSES, Interface
from .hosts import End, Hosts
from .link import Link, LinkOptions, Links

_networks: WeakKeyDictionary[VirtualTimeScheduler, Iterator[int]] = WeakKeyDictionary()
"""How many there were on a clock: a bridge may join those of one seed, and no two ends draw the same numbers."""

_Place = tuple[str, int, bool]
"""A group's address and port, on loopback or not."""

_Copy = tuple[Interface, "Recipients"]
"""One way that a datagram goes, and who hears it there."""


class Wire:
    """The hosts of a virtual network, on the links between them.

    Args:
        scheduler: its clock.
        link: what every link is like at first.
        seed: of everything that is drawn: the same seed and the same program give the same traffic.
        on_send: told of each datagram that was sent.

    Attributes:
        hosts: those that it joins.
        paused: those whose reading is.
    """

    def __init__(
        self,
        scheduler: VirtualTimeScheduler,
        link: Link | None = None,
        seed: int | str = 0,
        on_send: Callable[[Datagram], object] | None = None,
    ) -> None:
        self.scheduler = scheduler
        self._seed = f"{seed} {next(_networks.setdefault(scheduler, count()))}"
        self._on_send = on_send
        self._links = Links(link or Link(), seed)
        self.hosts = Hosts()
        self._listeners: defaultdict[_Place, GroupListeners] = defaultdict(GroupListeners)
        self._ends: dict[int, End] = {}
        self._naming: set[int] = set()
        """The numbers of those whose messages say which interface they came by."""
        self._numbers = count()
        self.paused: set[str] = set()
        self._arrivals = Arrivals(scheduler, self._deliver, self._deliver_one)
        self._sent = self._delivered = 0

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.scheduler.to_seconds(self.scheduler.now)

    @property
    def traffic(self) -> Traffic:
        """What was counted so far."""
        links = self._links
        return Traffic(self._sent, self._delivered, links.lost, links.duplicated, links.cut)

    def random_for(self, end: End) -> Random:
        """What an end draws from, beside what becomes of its datagrams."""
        return Random(f"{self._seed} {end.number}")

    def attach(self, end: End, hears: Hears) -> None:
        end.number = next(self._numbers)
        self._ends[end.number] = end
        if end.names_interfaces:
            self._naming.add(end.number)
        self.hosts.open(end)
        if hears is Hears.ALL:
            for interface in end.interfaces:
                self._listeners[_place(end.group, interface)].join(end.number, end.host, end.group.sources)

    def detach(self, end: End) -> None:
        del self._ends[end.number]
        self._naming.discard(end.number)
        self.hosts.close(end)
        for interface in end.interfaces:
            self._listeners[_place(end.group, interface)].leave(end.number)

    def ends(self, host: str) -> list[End]:
        """What is open on ``host``, in the order in which it was opened."""
        return list((self.hosts.ends(host) or {}).values())

    def set_link(self, hosts: Collection[str], one_way: bool, options: LinkOptions) -> None:
        """See :meth:`Links.change`."""
        self._links.change([self.hosts.known(host) for host in hosts], one_way, options)

    def partition(self, sides: Iterable[str | Iterable[str]]) -> None:
        """See :meth:`Links.partition`; a side may be one host."""
        named = [side if isinstance(side, Iterable) and not isinstance(side, str) else (side,) for side in sides]
        self._links.partition([[self.hosts.known(host) for host in side] for side in named])

    def heal(self) -> None:
        """Make the network whole again."""
        self._links.heal()

    def take_down(self, host: str) -> None:
        """Cut one host off, so that it notices: its sends fail."""
        if self._links.take_down(self.hosts.known(host)):
            self._turn(host, NetworkChange.DOWN)

    def bring_up(self, host: str) -> None:
        if self._links.bring_up(self.hosts.known(host)):
            self._turn(host, NetworkChange.UP)

    def pause(self, host: str) -> None:
        """Stop the reading on a host: what arrives waits in the receive buffers."""
        self.paused.add(self.hosts.known(host))

    def resume(self, host: str) -> None:
        self.paused.discard(self.hosts.known(host))
        for end in self.ends(host):
            end.resume()

    def carry(self, sender: End, payload: bytes, destination: Address | None) -> int:
        """Schedule the delivery of one datagram at every end that hears it; None is the sender's group.

        Returns:
            By how many of several interfaces it could not go, because they are down.

        Raises:
            OSError: as ``sendto`` raises it.
        """
        ip = None if destination is None else Ip.parse(destination[0])
        direct = ip is not None and not ip.is_multicast
        if destination is None:
            destination = sender.group.address, sender.group.port
            copies, refused = self._to_group(sender, destination, sender.interfaces)
        elif ip is None or ip.is_multicast:
            copies, refused = self._to_group(sender, (str(ip), destination[1]), sender.interfaces[:1])
        else:
            copies, refused = [self._to_one(sender, ip, destination[1])], 0
        self._sent += 1
        now = self.now
        for interface, recipients in copies:
            self._spread(sender, payload, interface, recipients, direct, destination, now)
        if self._on_send is not None:  # last, for it may send, too
            self._on_send(Datagram(now, sender.sender_address, destination, payload))
        return refused

    def _spread(
        self,
        sender: End,
        payload: bytes,
        interface: Interface,
        recipients: Recipients,
        direct: bool,
        destination: Address,
        now: float,
    ) -> None:
        """Send by one interface."""
        host, family = sender.host, sender.group.family
        name = interface.name if interface.is_loopback else None
        carried = Carried(payload, interface.address, sender.sender_address[1], family, direct, destination, name)
        times = self._links.arrivals(host, recipients.hosts, len(payload), family, now)
        self._arrivals.put([Arrival(at, end, carried) for end, place in recipients.ends for at in times[place]])

    def _to_group(self, sender: End, group: Address, by: tuple[Interface, ...]) -> tuple[list[_Copy], int]:
        up = by
        if self._links.is_down(sender.host):
            up = tuple(interface for interface in by if interface.is_loopback)
            if not up:
                raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        return [(interface, self._recipients(sender, group, interface)) for interface in up], len(by) - len(up)

    def _to_one(self, sender: End, ip: Ip, port: int) -> _Copy:
        """Who has an address, and by which interface of the sender's it is reached."""
        only = sender.interfaces[0] if sender.is_bound_to_interface else None
        if ip.is_loopback and only is not None and not only.is_loopback:
            return only, NOBODY  # loopback's addresses do not pass a network
        address = str(ip)
        local = ip.is_loopback or (only is not None and only.is_loopback)
        if local:
            way = Interface("lo", LOOPBACK_ADDRESSES[ip.family] if ip.is_loopback else sender.host, True)
        elif self._links.is_down(sender.host):
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        else:
            way = Interface(self.hosts.interface_name(sender.host), sender.host, False)
        ends = self.hosts.ends(sender.host if local else address)
        if ends is None:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        end = ends.get(port)
        if end is None or (end.group.is_loopback and address != end.interfaces[0].address):
            return way, NOBODY
        return way, Recipients([end.host], [(end.number, 0)])

    def _recipients(self, sender: End, group: Address, interface: Interface) -> Recipients:
        listeners = self._listeners.get((*group, interface.is_loopback))
        if listeners is None:
            return NOBODY
        stays = interface.is_loopback or sender.group.ttl == 0
        recipients = listeners.recipients(interface.address, sender.host if stays else None)
        if sender.hears_itself:
            return recipients
        return Recipients(recipients.hosts, [end for end in recipients.ends if end[0] != sender.number])

    def _deliver_one(self, arrival: Arrival) -> None:
        """The same as :meth:`_deliver` of one, at less cost."""
        end = self._ends.get(arrival.end)
        if end is None:  # closed since
            return
        message = arrival.carried.message(arrival.at)
        if arrival.end in self._naming:
            message = self._named(message, arrival.carried, arrival.end)
        if self._links.are_cut and self._is_broken(message, end):  # when the link broke, it was on its way
            self._links.cut += 1
        else:
            self._delivered += 1
            end.arrive([message])

    def _deliver(self, arrived: list[Arrival]) -> None:
        """What arrives at one moment: one batch for each end."""
        batches: dict[int, list[Message]] = {}
        carried = message = None
        for arrival in arrived:
            number = arrival.end
            if carried is None or message is None or carried is not arrival.carried:
                carried = arrival.carried
                message = carried.message(arrival.at)
            heard = self._named(message, carried, number) if number in self._naming else message
            batch = batches.get(number)
            if batch is None:
                batches[number] = [heard]
            else:
                batch.append(heard)
        links = self._links
        for number, batch in batches.items():
            end = self._ends.get(number)
            if end is None:
                continue
            if links.are_cut:
                whole, batch = batch, [one for one in batch if not self._is_broken(one, end)]
                links.cut += len(whole) - len(batch)
            if batch:
                self._delivered += len(batch)
                end.arrive(batch)

    def _named(self, message: Message, carried: Carried, number: int) -> Message:
        """With the interface that it came by, for who asks for it."""
        name = carried.interface or self.hosts.interface_name(self._ends[number].host)
        return msgspec.structs.replace(message, interface=name)

    def _is_broken(self, message: Message, end: End) -> bool:
        source = message.address
        return source != end.host and source in self.hosts and self._links.is_cut(source, end.host)

    def _turn(self, host: str, change: NetworkChange) -> None:
        for end in self.ends(host):
            end.turn(change)


def _place(group: Group, interface: Interface) -> _Place:
    return group.address, group.port, interface.is_loopback
