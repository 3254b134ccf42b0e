"""What every transport promises, kept between hosts: each end is on the next one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import pytest

from rx_multicast_ipc import DEFAULT_GROUP, ChannelOptions, Group
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.testing.conformance import RULES, Rig, Rule
from rx_multicast_ipc.transport import Hears, Transport, TransportWrapper
from rx_multicast_ipc.transport.base import Changed, Deliver, Ended
from rx_multicast_ipc.transport.udp.transport import UdpTransport

from ..hosts import Host, Network


class OnHost(TransportWrapper):
    """A live transport that is used on its host: there alone it finds the names of interfaces."""

    def __init__(self, host: Host, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> None:
        self._host = host
        with host.entered():
            super().__init__(UdpTransport(group, options, hears))

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        with self._host.entered():
            super().start(deliver, ended, changed)

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        with self._host.entered():
            super().send(payload, destination)

    def send_many(self, payloads: Sequence[bytes]) -> None:
        with self._host.entered():
            super().send_many(payloads)

    def look_up(self, name: str) -> str:
        with self._host.entered():
            return super().look_up(name)


def between(network: Network, address: str) -> Rig:
    hosts = cycle(network)

    def open_transport(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
        return OnHost(next(hosts), group, options, hears)

    group = Group.of(address=address, interface="eth0")
    return Rig(open_transport, group=group, cannot_open=Group.of(interface="no-such-interface"))


@pytest.mark.parametrize("address", [DEFAULT_GROUP, "ff02::1:7"])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_promise_is_kept_between_hosts(network: Network, rule: Rule, address: str) -> None:
    rule(between(network, address))
