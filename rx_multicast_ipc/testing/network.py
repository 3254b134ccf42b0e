"""A network of hosts in virtual time."""

from __future__ import annotations

from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.subject import Subject

from ..channel import BACKLOG, Channel
from ..group import DEFAULT_GROUP, DEFAULT_INTERFACE, DEFAULT_PORT, Group
from ..transport.memory import Datagram, VirtualHost, Wire


class VirtualNetwork:
    """Hosts that talk by multicast in the virtual time of a scheduler: no socket, no thread, no sleeping.

    Its channels are ordinary ones, and nothing happens until the scheduler runs (``start``, ``advance_by``).

        scheduler = TestScheduler()
        network = VirtualNetwork(scheduler, latency=0.2)
        bot = network.open_channel(host="10.0.0.1")
        player = network.open_channel(host="10.0.0.2")

    Args:
        scheduler: its clock, which is also every channel's ``scheduler``.
        latency: seconds from every send to its delivery.
    """

    def __init__(self, scheduler: VirtualTimeScheduler, *, latency: float = 0.0) -> None:
        self._datagrams: Subject[Datagram] = Subject()
        self._wire = Wire(scheduler, latency, self._datagrams.on_next)

    @property
    def datagrams(self) -> Observable[Datagram]:
        """Hot: every datagram that anybody sends, at the time of sending, whoever hears it."""
        return self._datagrams

    def sends(self, channel: Channel) -> Observable[Datagram]:
        """Hot: the datagrams that one channel sends."""
        source = channel.sender_address
        return self._datagrams.pipe(ops.filter(lambda datagram: datagram.source == source))

    def open_channel(
        self,
        port: int = DEFAULT_PORT,
        group: str = DEFAULT_GROUP,
        *,
        host: str = "10.0.0.1",
        interface: str = DEFAULT_INTERFACE,
        ttl: int | None = None,
        backlog: int = BACKLOG,
        echo: bool = True,
    ) -> Channel:
        """An ordinary channel on one of the network's hosts; any number of them.

        Args:
            port, group, ttl, backlog, echo: as for :func:`rx_multicast_ipc.open_channel`.
            host: the host's numeric address. It exists by being named.
            interface: ``"loopback"`` for channels that hear their own host only, else the whole network.
        """
        return Channel(Group.of(port, group, interface, ttl), VirtualHost(self._wire, host), backlog=backlog, echo=echo)
