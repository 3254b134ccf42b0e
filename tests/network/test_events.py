"""What a channel tells of its network."""

from __future__ import annotations

import errno
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc import NetworkChange
from rx_multicast_ipc.channel_scheduler import DeliveringScheduler
from rx_multicast_ipc.subscribing.subscriber_errors import on_delivering_thread
from rx_multicast_ipc.transport.udp import interface_watch, interfaces
from rx_multicast_ipc.transport.udp.platform import Platform

from ..event_loops import on_loop
from ..helpers import PATIENCE, Seen, run, wait_until
from ..hosts import Host, Network, hosts
from .channels_on_hosts import channel_on


@pytest.fixture
def host() -> Iterator[Host]:
    with hosts(1) as (host,):
        yield host


def changes(channel: ipc.Channel) -> Observable[ipc.NetworkEvent]:
    """What happens to its network."""
    return channel.events.pipe(ops.filter(lambda event: isinstance(event, ipc.NetworkEvent)), ops.map(_as_change))


def _as_change(event: ipc.ChannelEvent) -> ipc.NetworkEvent:
    assert isinstance(event, ipc.NetworkEvent)
    return event


def told(seen: Seen[ipc.NetworkEvent], count: int) -> list[tuple[str, str, str]]:
    return [(event.change, event.interface, event.address) for event in seen.wait_for_count(count)]


def test_a_link_that_goes_down_and_up(host: Host) -> None:
    with channel_on(host) as channel:
        seen, messages = Seen(changes(channel)), Seen(channel.messages)
        host.link_down()
        assert told(seen, 1) == [("down", "eth0", "10.77.0.1")]
        host.link_up()
        assert told(seen, 2)[1] == ("up", "eth0", "10.77.0.1")
        assert not messages.completed
    assert seen.wait_for_end().completed


def test_a_first_look_that_is_over_before_the_channel_is_open_is_not_the_last(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = DeliveringScheduler.schedule_relative

    def return_late(self: DeliveringScheduler, seconds: float, action: Any, state: Any = None) -> Any:
        ran = threading.Event()

        def run_and_tell(scheduler: Any, state: Any) -> None:
            action(scheduler, state)
            ran.set()

        timer = schedule(self, seconds, run_and_tell, state)
        if seconds == 0 and not on_delivering_thread():
            assert ran.wait(PATIENCE)
        return timer

    monkeypatch.setattr(DeliveringScheduler, "schedule_relative", return_late)
    with channel_on(host) as channel:
        seen = Seen(changes(channel))
        host.link_down()
        assert told(seen, 1) == [("down", "eth0", "10.77.0.1")]


def test_an_interface_that_goes_and_comes_back(host: Host) -> None:
    address = host.address()
    with channel_on(host) as channel:
        seen = Seen(changes(channel))
        host.recreate()
        seen.wait_for(lambda seen: len(seen.values) > 1 and seen.values[-1].address == address)
        assert [event.change for event in seen.values][:2] == [NetworkChange.LEFT, NetworkChange.JOINED]
        assert {event.interface for event in seen.values} == {"eth0"}


@pytest.mark.parametrize("size", [10, 20_000])
def test_what_a_vanished_ipv6_link_brought_is_still_delivered_and_the_channel_goes_on(size: int) -> None:
    group = "ff02::1:7"
    reading, go_on = threading.Event(), threading.Event()
    with hosts(2) as (host, peer), channel_on(host, group) as channel:
        seen, events = Seen(channel.messages), Seen(changes(channel))

        def keep_from_reading(_scheduler: object, _state: object) -> None:
            reading.set()
            go_on.wait(PATIENCE)

        channel.scheduler.schedule(keep_from_reading)
        assert reading.wait(PATIENCE)
        with channel_on(peer, group) as unheard_of, channel_on(host, group) as witness:
            new_address = ipc.operators.retry_with_backoff(50, longest=0.2)  # it can be sent from in a moment
            run(unheard_of.broadcast(bytes(size)).pipe(new_address))
            run(witness.wait_for_message())
        host.remove_interface("eth0")
        go_on.set()
        assert told(events, 1)[0][0] == NetworkChange.LEFT
        assert [len(message.data) for message in seen.values] == [size]
        assert not channel.closed


def test_an_event_loop_follows_the_interfaces_that_it_reads(host: Host) -> None:
    async def main() -> None:
        async with ipc.open_channel(interface=("eth0", "eth1"), read_on="loop") as channel:
            events, heard = aiter(ipc.to_async_iterable(changes(channel))), aiter(channel.messages)
            for name in ("eth0", "eth1"):
                address = host.address(name)
                host.recreate(name)
                left, joined = await anext(events), await anext(events)
                assert (left.change, left.interface) == (NetworkChange.LEFT, name)
                assert (joined.change, joined.interface) == (NetworkChange.JOINED, name)
                while joined.address != address:
                    joined = await anext(events)
            await channel.broadcast("x")
            assert {(await anext(heard)).interface for _ in range(2)} == {"eth0", "eth1"}

    host.add_interface("eth1", segment=1)
    with host.entered():
        on_loop(main())


def test_an_address_that_changes(host: Host) -> None:
    with channel_on(host) as channel:
        seen = Seen(changes(channel))
        host.change_address("eth0", "10.77.0.77/24")
        seen.wait_for(lambda seen: seen.values and seen.values[-1].address == "10.77.0.77")
        assert {event.change for event in seen.values} == {NetworkChange.MOVED}
        assert channel.sender_address[0] == "10.77.0.77"


def test_an_address_that_is_taken_away_and_given_back(host: Host) -> None:
    with channel_on(host) as channel:
        seen = Seen(changes(channel))
        host.namespace.ip("address del 10.77.0.1/24 dev eth0")
        assert told(seen, 1) == [("moved", "eth0", "")]
        host.namespace.ip("address add 10.77.0.1/24 dev eth0")
        assert told(seen, 2)[1] == ("moved", "eth0", "10.77.0.1")


def test_a_default_route_that_moves(host: Host) -> None:
    host.add_interface("eth1", segment=1)
    with channel_on(host, interface="default") as channel:
        seen = Seen(changes(channel))
        host.route_by_default("eth1")
        assert told(seen, 2) == [("left", "eth0", "10.77.0.1"), ("joined", "eth1", "10.77.1.1")]
        assert channel.sender_address[0] == "10.77.1.1"


ROUTE_ADDED = struct.pack("=HBBHHi", 92, 5, 1, 2, 0, 0x803) + bytes(80)
"""RTM_ADD of route(4) on macOS, by a gateway."""


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_under_traffic_a_channel_follows_a_default_route_that_moves(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere it is the interface whose address the routes choose. macOS tells of changes, Windows is looked at."""
    kernel, notices = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.setblocking(False)
    if platform != "linux":
        monkeypatch.setattr(interfaces, "PLATFORM", platform)
        monkeypatch.setattr(interfaces, "_LISTS", {platform: interface_watch.links})
        first = [notices] if platform == "darwin" else []  # the first channel to ask has them for itself
        monkeypatch.setattr(interfaces, "change_notices", lambda: first.pop() if first else None)
    with kernel, notices, hosts(2) as network:
        assert isinstance(network, Network)
        here, before = network
        here.add_interface("eth1", segment=1)
        after = network.add_host(segment=1)
        with (
            channel_on(here, interface="default") as channel,
            channel_on(before, interface="eth0") as one,
            channel_on(after, interface="eth0") as two,
        ):
            messages, events = Seen(channel.messages), Seen(changes(channel))
            run(one.broadcast("before"))
            assert [message.text for message in messages.wait_for_count(1)] == ["before"]
            here.route_by_default("eth1")
            moved = time.monotonic()
            kernel.send(ROUTE_ADDED)
            while len(messages.values) == 1:
                assert time.monotonic() - moved < PATIENCE
                run(two.broadcast("after"))
                time.sleep(0.005)
            print(f"{platform}: heard again after {time.monotonic() - moved:.3f} s")
            assert messages.values[1].text == "after"
            assert told(events, 2) == [("left", "eth0", here.address()), ("joined", "eth1", here.address("eth1"))]


def test_interfaces_that_come_and_go_while_a_channel_is_on_all(host: Host) -> None:
    with channel_on(host, interface="all") as channel:
        seen = Seen(changes(channel))
        host.add_interface("eth1", segment=1)
        assert told(seen, 1) == [("joined", "eth1", "10.77.1.1")]
        host.remove_interface("eth1")
        assert told(seen, 2)[1] == ("left", "eth1", "10.77.1.1")


def test_a_channel_that_has_no_descriptor_to_look_with_stays_where_it_is(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    links, failures = interface_watch.links, iter([OSError(errno.EMFILE, "Too many open files")] * 3)
    looked = threading.Event()

    def fail_at_first() -> list[interface_watch.Link]:
        for failure in failures:
            raise failure
        looked.set()
        return links()

    with channel_on(host) as channel:
        seen = Seen(changes(channel))
        monkeypatch.setattr(interface_watch, "links", fail_at_first)
        host.namespace.ip("address add 192.0.2.1/24 dev lo")  # a reason to look
        assert looked.wait(PATIENCE)
        run(channel.broadcast("still here"))
        assert run(channel.wait_for_message()).text == "still here"
        assert seen.values == []


def test_messages_say_what_an_interface_is_called_now(host: Host) -> None:
    with channel_on(host, interface="all") as channel:
        heard = Seen(channel.messages)
        host.rename("eth0", "wan0")

        def is_told_anew() -> bool:
            with suppress(ipc.SendFailed):  # it goes down and up meanwhile
                run(channel.broadcast("x"))
            return any(message.interface == "wan0" for message in heard.values)

        wait_until(is_told_anew)


def test_an_interface_that_is_named_by_its_address_is_found_wherever_that_goes(host: Host) -> None:
    host.add_interface("eth1", segment=1)
    with channel_on(host, interface="10.77.0.1") as channel:
        seen = Seen(changes(channel))
        host.change_address("eth0", "10.77.0.99/24")
        assert told(seen, 1) == [("left", "eth0", "10.77.0.1")]
        with pytest.raises(ipc.SendFailed, match="as soon as it is back"):
            ipc.run(channel.broadcast("x"))
        host.change_address("eth1", "10.77.0.1/24")
        assert told(seen, 2)[1] == ("joined", "eth1", "10.77.0.1")
        ipc.run(channel.broadcast("x"))
        assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).address == "10.77.0.1"


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
        host.namespace.run("nft", "-f", "-", text=FIREWALL)
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
