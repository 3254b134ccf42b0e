"""What must not pass: a router without the TTL for it, an interface that was not asked for, a foreign source."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

import pytest

import rx_multicast_ipc as ipc

from ..helpers import Seen, run, wait_until
from ..hosts import Host, Network, Packet, Sniffer, hosts
from .channels_on_hosts import channel_on

_numbers = count(1)


def fresh_group() -> str:
    """A group that no report spoke of yet: those that leave one are repeated for a second."""
    return f"239.255.7.{next(_numbers)}"


class Routed(NamedTuple):
    """Two hosts, and the segments between them."""

    near: Host
    far: Host


@pytest.fixture(scope="module")
def routed() -> Iterator[Routed]:
    with hosts(1) as network:
        far = network.add_host(segment=1)
        network.add_router(ipc.DEFAULT_GROUP)
        yield Routed(network.hosts[0], far)


def test_the_default_ttl_stops_at_a_router_and_a_greater_one_passes(routed: Routed) -> None:
    with channel_on(routed.far) as far, channel_on(routed.near) as here, channel_on(routed.near, ttl=2) as further:
        run(here.broadcast("for this network"))
        run(further.broadcast("for the next one"))
        assert run(far.wait_for_message()).text == "for the next one"
        assert run(here.wait_for_message()).text == "for this network"


def test_a_reply_finds_its_way_back_through_a_router(routed: Routed) -> None:
    with channel_on(routed.near, ttl=2) as asking, channel_on(routed.far) as replying:
        run(asking.broadcast("question"))
        run(replying.reply(run(replying.wait_for_message()), "answer"))
        answer = run(asking.wait_for_message(lambda m: m.direct))
        assert (answer.text, answer.address) == ("answer", routed.far.address())


@pytest.fixture(scope="module")
def two_interfaces() -> Iterator[Network]:
    """Host 1 is on segment 0, where its default route leads, and on segment 1; hosts 2 and 3 on one of them each."""
    with hosts(2) as network:
        network.add_host(segment=1)
        network.hosts[0].add_interface("eth1", segment=1)
        yield network


def reports_of(group: str, packets: Sequence[Packet]) -> list[Packet]:
    """The IGMP reports of this host that name a group."""
    own = [packet for packet in packets if packet.protocol == "IGMP" and packet.outgoing]
    return [packet for packet in own if socket.inet_aton(group) in packet.payload]


def wait_for_all_reports(host: Host, interface: str, sniffer: Sniffer) -> None:
    """Wait until what was joined on an interface so far was reported there: one report says all that is new."""
    group = fresh_group()
    with channel_on(host, group, interface=interface):
        sniffer.wait_for(lambda packet: reports_of(group, [packet]))


@pytest.mark.parametrize("interface", ["eth1", "10.77.1.1"])
def test_no_packet_leaves_by_an_interface_that_was_not_asked_for(two_interfaces: Network, interface: str) -> None:
    host, _, peer = two_interfaces
    group = fresh_group()
    with host.sniff("eth0") as at_eth0, host.sniff("eth1") as at_eth1:
        with channel_on(host, group, interface=interface) as channel, channel_on(peer, group) as other:
            run(channel.broadcast("question"))
            run(other.reply(run(other.wait_for_message()), "answer"))
            assert run(channel.wait_for_message(lambda m: m.direct)).text == "answer"
            at_eth1.wait_for(lambda packet: reports_of(group, [packet]))
            wait_for_all_reports(host, "eth0", at_eth0)
        assert reports_of(group, at_eth0.packets()) == at_eth0.datagrams() == []
        assert {packet.payload for packet in at_eth1.datagrams()} == {b"question", b"answer"}


def test_not_even_what_is_sent_to_one_address_leaves_by_another_interface(two_interfaces: Network) -> None:
    host, beyond_eth0, _ = two_interfaces
    with host.sniff("eth0") as at_eth0, channel_on(host, fresh_group(), interface="eth1") as channel:
        run(channel.send("astray", 5000, beyond_eth0.address()))
        with channel_on(host, interface="eth0") as beside:
            run(beside.send("on its way", 5000, beyond_eth0.address()))
        at_eth0.wait_for(lambda packet: packet.payload == b"on its way")
        assert [packet.payload for packet in at_eth0.datagrams()] == [b"on its way"]


def test_a_loopback_channel_says_nothing_to_the_network(two_interfaces: Network) -> None:
    host, *_ = two_interfaces
    group = fresh_group()
    sniffing = host.sniff("eth0"), host.sniff("eth1")
    with sniffing[0] as at_eth0, sniffing[1] as at_eth1, channel_on(host, group, interface="loopback") as channel:
        run(channel.broadcast("private"))
        assert run(channel.wait_for_message()).text == "private"
        for interface, seen in (("eth0", at_eth0), ("eth1", at_eth1)):
            wait_for_all_reports(host, interface, seen)
            assert reports_of(group, seen.packets()) == seen.datagrams() == []


def test_a_channel_hears_nothing_of_an_interface_that_it_did_not_ask_for(two_interfaces: Network) -> None:
    host, on_eth0, on_eth1 = two_interfaces
    with channel_on(host, interface="eth1") as channel, channel_on(host, interface="eth0") as beside:
        heard = Seen(channel.messages)
        with channel_on(on_eth0) as one, channel_on(on_eth1) as other:
            run(one.broadcast("by eth0"))
            assert run(beside.wait_for_message()).text == "by eth0"
            run(other.broadcast("by eth1"))
        heard.wait_for_count(1)
        assert [message.text for message in heard.values] == ["by eth1"]


def test_a_source_specific_channel_refuses_a_foreign_source(two_interfaces: Network) -> None:
    group = "232.1.2.3"
    host, peer, _ = two_interfaces
    with peer.entered():
        listener = ipc.open_channel(group=group, interface="eth0", sources=[host.address()])
    with listener, channel_on(peer, group) as foreign, channel_on(host, group) as wanted:
        run(foreign.broadcast("foreign"))
        run(wanted.broadcast("wanted"))
        assert run(listener.wait_for_message()).text == "wanted"


def test_what_comes_by_two_interfaces_says_each_time_which_way_it_came() -> None:
    with hosts(2) as network:
        host, peer = network
        host.add_interface("eth1")  # on the same segment as eth0
        with channel_on(host, interface="all") as both, channel_on(peer) as sender:
            heard = Seen(both.messages)
            run(sender.broadcast("first"))
            run(sender.broadcast("last"))
            heard.wait_for_count(4)
            ways = [(message.text, message.interface) for message in heard.values]
            assert sorted(ways) == [("first", "eth0"), ("first", "eth1"), ("last", "eth0"), ("last", "eth1")]


@pytest.mark.parametrize("group", [ipc.DEFAULT_GROUP, "ff02::1:7"])
def test_on_two_interfaces_of_one_segment_a_channel_knows_its_own_messages(group: str) -> None:
    with hosts(2) as network:
        host, peer = network
        host.add_interface("eth1")
        with host.entered():
            channel = ipc.open_channel(group=group, interface="all", echo=False)
        with channel, channel_on(peer, group) as other:
            heard = Seen(channel.messages)
            run(channel.broadcast("own"))

            def is_heard_both_ways() -> bool:  # not before the addresses of a new interface are (RFC 4862, 5.4)
                run(other.broadcast("another's").pipe(ipc.operators.retry_with_backoff(50, longest=0.2)))
                return {message.interface for message in heard.values} == {"eth0", "eth1"}

            wait_until(is_heard_both_ways)
            assert {message.text for message in heard.values} == {"another's"}


def test_all_interfaces_hear_and_speak(two_interfaces: Network) -> None:
    host, on_eth0, on_eth1 = two_interfaces
    with channel_on(host, interface="all") as channel, channel_on(on_eth0) as one, channel_on(on_eth1) as other:
        for peer, interface in ((one, "eth0"), (other, "eth1")):
            run(peer.broadcast("x"))
            message = run(channel.wait_for_message(lambda m, peer=peer: m.sender == peer.sender_address))
            assert message.interface == interface
        run(channel.broadcast("to both"))
        for peer in (one, other):
            run(peer.wait_for_message(lambda m: m.text == "to both"))
