"""What a channel tells of its network."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import NetworkChange

from ..helpers import PATIENCE, Seen, run
from ..hosts import Host, hosts
from .on import channel_on


@pytest.fixture
def host() -> Iterator[Host]:
    with hosts(1) as (host,):
        yield host


def told(seen: Seen[ipc.NetworkEvent], count: int) -> list[tuple[str, str, str]]:
    return [(event.change, event.interface, event.address) for event in seen.wait_for_count(count)]


def test_a_link_that_goes_down_and_up(host: Host) -> None:
    with channel_on(host) as channel:
        seen, messages = Seen(channel.events), Seen(channel.messages)
        host.link_down()
        assert told(seen, 1) == [("down", "eth0", "10.77.0.1")]
        host.link_up()
        assert told(seen, 2)[1] == ("up", "eth0", "10.77.0.1")
        assert not messages.completed
    assert seen.wait_for_end().completed


def test_an_interface_that_goes_and_comes_back(host: Host) -> None:
    address = host.address()
    with channel_on(host) as channel:
        seen = Seen(channel.events)
        host.recreate()
        seen.wait_for(lambda seen: len(seen.values) > 1 and seen.values[-1].address == address)
        assert [event.change for event in seen.values][:2] == [NetworkChange.LEFT, NetworkChange.JOINED]
        assert {event.interface for event in seen.values} == {"eth0"}


@pytest.mark.parametrize("size", [10, 20_000])
def test_what_a_vanished_ipv6_link_brought_is_still_delivered_and_the_channel_goes_on(size: int) -> None:
    group = "ff02::1:7"
    reading, go_on = threading.Event(), threading.Event()
    with hosts(2) as (host, peer), channel_on(host, group) as channel:
        seen, events = Seen(channel.messages), Seen(channel.events)

        def hold_up(_scheduler: object, _state: object) -> None:
            reading.set()
            go_on.wait(PATIENCE)

        channel.scheduler.schedule(hold_up)
        assert reading.wait(PATIENCE)
        with channel_on(peer, group) as unheard_of, channel_on(host, group) as witness:
            run(unheard_of.broadcast(bytes(size)))
            run(witness.wait_for_message())
        host.remove_interface("eth0")
        go_on.set()
        assert told(events, 1)[0][0] == NetworkChange.LEFT
        assert [len(message.data) for message in seen.values] == [size]
        assert not channel.closed


def test_an_address_that_changes(host: Host) -> None:
    with channel_on(host) as channel:
        seen = Seen(channel.events)
        host.change_address("eth0", "10.77.0.77/24")
        seen.wait_for(lambda seen: seen.values and seen.values[-1].address == "10.77.0.77")
        assert {event.change for event in seen.values} == {NetworkChange.MOVED}
        assert channel.sender_address[0] == "10.77.0.77"


def test_a_default_route_that_moves(host: Host) -> None:
    host.add_interface("eth1", segment=1)
    with channel_on(host, interface="default") as channel:
        seen = Seen(channel.events)
        host.route_by_default("eth1")
        assert told(seen, 2) == [("left", "eth0", "10.77.0.1"), ("joined", "eth1", "10.77.1.1")]
        assert channel.sender_address[0] == "10.77.1.1"


def test_interfaces_that_come_and_go_while_a_channel_is_on_all(host: Host) -> None:
    with channel_on(host, interface="all") as channel:
        seen = Seen(channel.events)
        host.add_interface("eth1", segment=1)
        assert told(seen, 1) == [("joined", "eth1", "10.77.1.1")]
        host.remove_interface("eth1")
        assert told(seen, 2)[1] == ("left", "eth1", "10.77.1.1")


def test_an_interface_that_is_named_by_its_address_is_found_wherever_that_goes(host: Host) -> None:
    host.add_interface("eth1", segment=1)
    with channel_on(host, interface="10.77.0.1") as channel:
        seen = Seen(channel.events)
        host.change_address("eth0", "10.77.0.99/24")
        assert told(seen, 1) == [("left", "eth0", "10.77.0.1")]
        with pytest.raises(ipc.SendFailed, match="as soon as it is back"):
            ipc.run(channel.broadcast("x"))
        host.change_address("eth1", "10.77.0.1/24")
        assert told(seen, 2)[1] == ("joined", "eth1", "10.77.0.1")
        ipc.run(channel.broadcast("x"))
        assert ipc.run(channel.wait_for_message(timeout=5)).address == "10.77.0.1"


def test_a_subscriber_to_events_may_close_the_channel(host: Host) -> None:
    with channel_on(host) as channel:
        seen = Seen(channel.messages)
        channel.events.subscribe(lambda _: channel.close())
        host.link_down()
        assert seen.wait_for_end().completed


FIREWALL = "add table ip f\nadd chain ip f out { type filter hook output priority 0; policy drop; }"


@pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft(8) for a firewall")
def test_sends_that_the_system_refuses_say_what_to_do(host: Host) -> None:
    with channel_on(host) as channel:
        host.link_down()
        with pytest.raises(ipc.SendFailed, match="bring it up"):
            ipc.run(channel.broadcast("x"))
        host.link_up()
        host.namespace.run(
            "nft",
            "-f",
            "-",
            text="add table ip f; add chain ip f out { type filter hook output priority 0; policy drop; }",
        )
        with pytest.raises(ipc.SendFailed, match="firewall"):
            ipc.run(channel.broadcast("x"))


def test_a_send_is_retried_until_the_link_is_up_again(host: Host) -> None:
    with channel_on(host) as channel:
        host.link_down()
        seen = Seen(channel.messages)
        retried = Seen(channel.broadcast("x").pipe(ipc.operators.retry_with_backoff(50, first=0.05, longest=0.2)))
        host.link_up()
        assert retried.wait_for_end().completed
        assert seen.wait_for_count(1)[0].text == "x"
