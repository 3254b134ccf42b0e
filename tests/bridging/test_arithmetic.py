"""The arithmetic of docs/sites.md, at small scale in virtual time: what crosses, what each bridge holds, who speaks."""

from __future__ import annotations

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import BridgeRole, Channel
from rx_multicast_ipc.bridging.control_packets import CONTROL_PORT
from rx_multicast_ipc.bridging.spanning_tree import Timing
from rx_multicast_ipc.testing import VirtualNetwork
from rx_multicast_ipc.testing.virtual_clock import VirtualClock

RATE = 10
SECONDS = 3
SETTLED = 1.5


class Sites:
    """``sites`` networks of ``members``, each with ``bridges`` to one between them."""

    def __init__(self, sites: int, members: int, bridges: int) -> None:
        self.clock = VirtualClock()
        self.wide = VirtualNetwork(self.clock, latency=0.01)
        self.locals = [VirtualNetwork(self.clock, latency=0.001) for _ in range(sites)]
        self.bridges = [
            [
                ipc.bridge(
                    local.open_channel(host=f"10.0.0.{200 + place}"),
                    self.wide.open_channel(host=f"10.9.{site}.{place}"),
                )
                for place in range(bridges)
            ]
            for site, local in enumerate(self.locals, start=1)
        ]
        self.members = [[local.open_channel() for _ in range(members)] for local in self.locals]
        self.clock.advance_to(SETTLED)

    def talk(self) -> None:
        """Everybody says something ``RATE`` times a second, for ``SECONDS``."""
        for _ in range(RATE * SECONDS):
            for channel in self.everybody:
                channel.broadcast(b"x" * 100).subscribe()
            self.clock.advance_by(1 / RATE)
        self.clock.advance_by(0.5)

    @property
    def everybody(self) -> list[Channel]:
        return [channel for site in self.members for channel in site]

    def carrying(self) -> list[ipc.Bridge]:
        return [bridge for site in self.bridges for bridge in site if bridge.role is BridgeRole.CARRYING]


@pytest.mark.parametrize(("sites", "members", "bridges"), [(2, 3, 1), (3, 4, 2), (6, 2, 2)])
def test_what_crosses_is_what_the_formulas_say(sites: int, members: int, bridges: int) -> None:
    world = Sites(sites, members, bridges)
    sent = world.wide.traffic.sent
    world.talk()
    each = RATE * SECONDS
    for bridge in world.carrying():
        counted = bridge.statistics
        assert counted.to_wide == members * each
        assert counted.to_local == (sites - 1) * members * each
        assert counted.ends == sites * members
    assert len(world.carrying()) == sites
    carried = sites * members * each
    said = world.wide.traffic.sent - sent - carried  # of bridges among each other
    told_of_ends = 3 * sites * members  # a new end at once and twice more, alone at the most
    hellos = (SECONDS + 0.5) / Timing.for_takeover(0.8).hello_interval
    assert said <= hellos + 1 + told_of_ends
    for channel in world.everybody:
        assert channel.statistics.received == carried


@pytest.mark.parametrize("sites", [2, 8])
def test_one_bridge_speaks_on_the_segment_between_however_many_sites_there_are(sites: int) -> None:
    world = Sites(sites, 0, 2)
    said: list[object] = []
    world.wide.datagrams.subscribe(
        lambda datagram: said.append(datagram) if datagram.destination[1] == CONTROL_PORT else None
    )
    world.clock.advance_by(10.0)
    assert len(said) == pytest.approx(10 / Timing.for_takeover(0.8).hello_interval, abs=2)


def test_what_is_not_bridged_stays_where_it_is() -> None:
    """Splitting by group: members say ten things a second at home, and each site one a second to all."""
    world = Sites(3, 4, 1)
    inner = [[local.open_channel(61090) for _ in range(4)] for local in world.locals]
    for second in range(SECONDS):
        for _ in range(RATE):
            for site in inner:
                for channel in site:
                    channel.broadcast(b"x").subscribe()
        for site in world.members:
            site[0].broadcast(b"summary %d" % second).subscribe()
        world.clock.advance_by(1.0)
    assert [bridge.statistics.to_wide for bridge in world.carrying()] == [SECONDS] * 3
    assert [bridge.statistics.to_local for bridge in world.carrying()] == [2 * SECONDS] * 3
