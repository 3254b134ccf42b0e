from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
from itertools import pairwise
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.message import Family
from rx_multicast_ipc.testing import Datagram, Event, Marbles, VirtualClock, VirtualNetwork
from rx_multicast_ipc.transport.virtual.link import Link

from ..helpers import ROOT


@pytest.fixture
def scheduler() -> TestScheduler:
    return TestScheduler()


@pytest.fixture
def marbles(scheduler: TestScheduler) -> Marbles:
    return Marbles(scheduler, frame=0.1)


@pytest.fixture
def network(scheduler: TestScheduler) -> VirtualNetwork:
    return VirtualNetwork(scheduler, latency=0.2)


def flood(
    network: VirtualNetwork, marbles: Marbles, count: int = 1000, size: int = 0, rate: float = 1000
) -> list[float]:
    """When each of so many datagrams from one host reached another, by its number."""
    one, two = network.open_channel(), network.open_channel()
    recording = marbles.record(texts(two))
    one.broadcast_all([str(number).ljust(size) for number in range(count)], rate=rate).subscribe()
    marbles.scheduler.start()
    arrivals: dict[int, float] = {}
    for event in recording.events:
        arrivals.setdefault(int(event.value), event.time)
    return [arrivals.get(number, 0.0) for number in range(count)]


def texts(channel: ipc.Channel) -> rx.Observable[str]:
    return channel.messages.pipe(ops.map(lambda m: m.text))


def test_a_broadcast_arrives_on_other_hosts_after_the_latency_and_at_once_on_its_own(
    network: VirtualNetwork, marbles: Marbles
) -> None:
    one, two = network.open_channel(host="10.0.0.1"), network.open_channel(host="10.0.0.2")
    here, there = marbles.record(texts(one)), marbles.record(texts(two))
    at_once = marbles.events("(ab)", {"a": "first", "b": "second"})
    later = marbles.events("--(ab)", {"a": "first", "b": "second"})
    ipc.run(one.broadcast_all(["first", "second"]))
    marbles.scheduler.start()
    assert (here.events, there.events) == (at_once, later)


def test_channels_get_hosts_of_their_own_unless_told(network: VirtualNetwork) -> None:
    hosts = [network.open_channel().sender_address[0] for _ in range(3)]
    assert hosts == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert network.open_channel(group="ff02::1:7", interface="eth0").sender_address[0] == "fd00::1"


def test_a_reply_reaches_the_asker_alone(network: VirtualNetwork, marbles: Marbles) -> None:
    bot, ann, bob = (network.open_channel(host=f"10.0.0.{number}") for number in (1, 2, 3))
    bot.messages.pipe(ops.flat_map(lambda m: bot.reply(m, f"Welcome {m.text}!"))).subscribe()
    heard = [marbles.record(texts(player).pipe(ops.filter(lambda t: "!" in t))) for player in (ann, bob)]
    ann.broadcast("Ann").pipe(ops.delay_subscription(1.0, scheduler=marbles.scheduler)).subscribe()
    marbles.scheduler.start()
    assert heard[0].events == [Event(1.4, "next", "Welcome Ann!")]
    assert heard[1].events == []


def test_messages_carry_their_hosts_address_and_the_virtual_time(
    network: VirtualNetwork, scheduler: TestScheduler
) -> None:
    channel = network.open_channel(host="10.0.0.7")
    seen: list[ipc.Message] = []
    channel.messages.subscribe(seen.append)
    other = network.open_channel()
    rx.timer(5.0).pipe(ops.flat_map(lambda _: other.broadcast("x"))).subscribe(scheduler=scheduler)
    scheduler.start()
    assert (seen[0].sender, seen[0].received_at) == (other.sender_address, 5.2)
    assert channel.sender_address[0] == "10.0.0.7"


def test_loopback_channels_hear_their_own_host_only(network: VirtualNetwork, marbles: Marbles) -> None:
    local = [network.open_channel(host=host, interface="loopback") for host in ("10.0.0.1", "10.0.0.1", "10.0.0.2")]
    recordings = [marbles.record(texts(channel)) for channel in local]
    ipc.run(local[0].broadcast("x"))
    marbles.scheduler.start()
    assert [recording.values for recording in recordings] == [["x"], ["x"], []]


def test_other_groups_and_ports_are_other_rooms(network: VirtualNetwork, marbles: Marbles) -> None:
    speaker = network.open_channel()
    others = [network.open_channel(61089), network.open_channel(group="224.0.2.2")]
    recordings = [marbles.record(texts(channel)) for channel in others]
    ipc.run(speaker.broadcast("x"))
    marbles.scheduler.start()
    assert [recording.values for recording in recordings] == [[], []]


def test_waits_and_requests_time_out_in_virtual_time(network: VirtualNetwork, marbles: Marbles) -> None:
    channel = network.open_channel()
    waiting = marbles.record(channel.wait_for_message(timeout=3600))
    asking = marbles.record(channel.request("?", lambda m: True, timeout=1).pipe(ops.retry(3)))
    lonely = marbles.record(channel.wait_for_message(lambda m: m.text == "!", timeout=86_400))
    marbles.scheduler.start()
    assert waiting.events == [Event(0.0, "next", waiting.values[0]), Event(0.0, "completed")]
    assert [(event.time, event.value[0]) for event in asking.events] == [(3.0, ipc.MessageTimeout)]
    assert [(event.time, event.value[0]) for event in lonely.events] == [(86_400.0, ipc.MessageTimeout)]


def test_a_flood_at_one_moment_does_not_move_the_clock(network: VirtualNetwork, marbles: Marbles) -> None:
    one, two = network.open_channel(host="10.0.0.1"), network.open_channel(host="10.0.0.2")
    recording = marbles.record(texts(two))
    ipc.run(one.broadcast_all(map(str, range(10_000))))
    marbles.scheduler.start()
    assert recording.values == [str(number) for number in range(10_000)]
    assert {event.time for event in recording.events} == {0.2}


def test_a_paced_transfer_keeps_its_rate_in_virtual_time(network: VirtualNetwork, marbles: Marbles) -> None:
    one, two = network.open_channel(), network.open_channel()
    expected = marbles.events("--abcde")
    recording = marbles.record(texts(two))
    one.broadcast_all(list("abcde"), rate=10).subscribe()
    marbles.scheduler.start()
    assert recording.events == expected


def test_closing_one_end_leaves_the_others(network: VirtualNetwork, marbles: Marbles) -> None:
    one, two = network.open_channel(), network.open_channel()
    closed, going_on = marbles.record(texts(one)), marbles.record(texts(two))
    ipc.run(two.broadcast("x"))
    one.close()
    marbles.scheduler.start()
    assert closed.events == [Event(0.0, "completed")]
    assert going_on.values == ["x"]


def test_no_thread_is_started(network: VirtualNetwork, scheduler: TestScheduler) -> None:
    threads = threading.active_count()
    channels = [network.open_channel(host=f"10.0.0.{number}") for number in range(1, 20)]
    for channel in channels:
        channel.wait_for_message(timeout=1).subscribe()
    ipc.run(channels[0].broadcast("x"))
    scheduler.start()
    for channel in channels:
        channel.close()
    assert threading.active_count() <= threads


@pytest.mark.parametrize(
    "link",
    [
        {"latency": -1},
        {"latency": "x"},
        {"jitter": float("inf")},
        {"loss": 1.5},
        {"loss": 30},
        {"duplication": -0.1},
        {"reordering": 0.5},
        {"bandwidth": 0},
        {"mtu": 100},
    ],
    ids=lambda link: next(iter(link)),
)
def test_a_link_that_cannot_be_is_refused(scheduler: TestScheduler, link: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match=next(iter(link))):
        VirtualNetwork(scheduler, **link)


def test_a_host_that_is_no_address_is_refused(network: VirtualNetwork) -> None:
    with pytest.raises(ipc.InvalidAddress, match="numeric address"):
        network.open_channel(host="bot")


def test_a_paced_transfer_does_not_make_up_for_time_when_there_was_nothing_to_send(
    network: VirtualNetwork, marbles: Marbles
) -> None:
    one, two = network.open_channel(), network.open_channel()
    recording = marbles.record(texts(two))
    late = marbles.hot("----------(abc|)")  # all at once, after a second
    one.broadcast_all(late, rate=10).subscribe(scheduler=marbles.scheduler)
    marbles.scheduler.start()
    assert recording.events == [Event(1.2, "next", "a"), Event(1.3, "next", "b"), Event(1.4, "next", "c")]


def test_time_operators_of_a_paced_source_run_in_virtual_time(network: VirtualNetwork, marbles: Marbles) -> None:
    one = network.open_channel()
    source = rx.interval(1.0).pipe(ops.take(3), ops.map(str))
    recording = marbles.record(one.broadcast_all(source, rate=10))
    marbles.scheduler.advance_by(10)
    assert recording.values == [3]


def test_a_virtual_network_has_no_names(network: VirtualNetwork) -> None:
    with pytest.raises(ipc.Unsupported, match="numeric address"):
        network.open_channel().send("x", 61088, "localhost")


def test_the_same_seed_gives_the_same_traffic_and_another_one_another() -> None:
    def traffic(seed: int) -> list[float]:
        marbles = Marbles(TestScheduler())
        network = VirtualNetwork(
            marbles.scheduler, seed=seed, latency=0.2, jitter=0.1, loss=0.3, duplication=0.2, reordering=0.1
        )
        return flood(network, marbles, 200)

    assert traffic(1) == traffic(1) == traffic(1)
    assert traffic(1) != traffic(2)


def packets(seed: int) -> list[Datagram]:
    """All that is sent where channels repair, seal, say who they are and share a value, on bad links."""
    clock, found = VirtualClock(), list[Datagram]()
    network = VirtualNetwork(clock, seed=seed, latency=0.01, jitter=0.01, loss=0.2)
    network.datagrams.subscribe(found.append)
    kinds: dict[int, ipc.ChannelOptions] = {
        1001: {"reliable": True},
        1002: {"presence": "one of them"},
        1003: {"key": ipc.Key(bytes(range(32)))},
        1004: {"reliable": True, "key": ipc.Key(bytes(range(32))), "presence": "one of them"},
    }
    for port, options in kinds.items():
        for number in range(3):
            channel = network.open_channel(port, **options)
            channel.broadcast_all([f"{number} says {said}" for said in range(20)], rate=100).subscribe()
            channel.latest("leader", int).set(number).subscribe()
    clock.advance_by(3.0)
    return found


def test_the_same_seed_gives_the_same_packets_in_any_process() -> None:
    here = packets(1)
    assert {datagram.destination[1] for datagram in here} >= {1001, 1002, 1003, 1004}
    assert here == packets(1)
    assert here != packets(2)
    command = [sys.executable, "-c", f"from {__name__} import packets; print(packets(1))"]
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert result.stdout.strip() == repr(here)


def test_a_lossy_link_loses_its_share_and_counts_it(scheduler: TestScheduler, marbles: Marbles) -> None:
    network = VirtualNetwork(scheduler, loss=0.3)
    arrived = sum(at > 0 for at in flood(network, marbles))
    assert 640 < arrived < 760
    assert network.traffic.lost == 1000 - arrived


def test_large_datagrams_go_in_fragments_and_are_lost_with_any_of_them(
    scheduler: TestScheduler, marbles: Marbles
) -> None:
    """At 1 % loss a datagram of 64 KB, 45 packets, arrives 64 % of the time, one packet 99 %."""
    network = VirtualNetwork(scheduler, loss=0.01)
    assert 550 < sum(at > 0 for at in flood(network, marbles, size=65_507)) < 720
    assert 975 < sum(at > 0 for at in flood(network, marbles, size=1472)) < 1000


@pytest.mark.parametrize(
    ("family", "mtu", "payload", "packets"),
    [
        ("IPv4", 1500, 1472, (1, 1500)),
        ("IPv4", 1500, 1473, (2, 1521)),
        ("IPv4", 1498, 1470, (1, 1498)),
        ("IPv4", 1500, 2952, (2, 3000)),
        ("IPv4", 1500, 2953, (3, 3021)),
        ("IPv6", 1500, 1452, (1, 1500)),
        ("IPv6", 1500, 1453, (2, 1557)),
        ("IPv4", 1500, 0, (1, 28)),
    ],
)
def test_a_datagram_takes_as_few_packets_as_hold_it(
    family: Family, mtu: int, payload: int, packets: tuple[int, int]
) -> None:
    count, size = packets
    passage = Link(mtu=mtu, bandwidth=1.0, loss=0.5).passage(payload, family)
    assert (passage.survival, passage.seconds) == (0.5**count, size)


def test_a_datagram_passes_a_link_once_however_many_channels_of_a_host_hear_it(scheduler: TestScheduler) -> None:
    network = VirtualNetwork(scheduler, bandwidth=1000, loss=0.5, duplication=0.5, seed=1)
    sender = network.open_channel(host="10.0.0.1")
    one, other = (network.open_channel(host="10.0.0.2") for _ in range(2))
    heard: list[list[tuple[str, float]]] = [[], []]
    for channel, messages in zip((one, other), heard, strict=True):
        channel.messages.subscribe(lambda m, messages=messages: messages.append((m.text, m.received_at)))
    for number in range(100):
        sender.broadcast(f"{number:972}").subscribe()
    scheduler.start()
    assert heard[0] == heard[1]
    assert len(heard[0]) == network.traffic.sent - network.traffic.lost + network.traffic.duplicated
    assert heard[0][-1][1] <= 100


def test_jitter_spreads_arrivals_and_keeps_their_order(scheduler: TestScheduler, marbles: Marbles) -> None:
    network = VirtualNetwork(scheduler, latency=0.2, jitter=0.1)
    arrivals = flood(network, marbles, rate=100)
    delays = [at - number / 100 for number, at in enumerate(arrivals)]
    assert arrivals == sorted(arrivals)
    assert min(delays) == pytest.approx(0.2, abs=0.02)
    assert max(delays) == pytest.approx(0.3, abs=0.02)


def test_reordered_datagrams_are_overtaken(scheduler: TestScheduler, marbles: Marbles) -> None:
    network = VirtualNetwork(scheduler, latency=0.2, reordering=0.1)
    arrivals = flood(network, marbles)
    overtaken = sum(later < earlier for earlier, later in pairwise(arrivals))
    assert 50 < overtaken < 150
    assert all(0.199 < at - number / 1000 < 0.401 for number, at in enumerate(arrivals))


def test_duplicated_datagrams_arrive_twice_and_are_counted(scheduler: TestScheduler, marbles: Marbles) -> None:
    network = VirtualNetwork(scheduler, duplication=0.2)
    one, two = network.open_channel(), network.open_channel()
    recording = marbles.record(texts(two))
    ipc.run(one.broadcast_all(map(str, range(1000))))
    scheduler.start()
    assert 150 < len(recording.values) - 1000 < 250
    assert network.traffic.duplicated == len(recording.values) - 1000


def test_a_narrow_link_takes_one_datagram_after_the_other(scheduler: TestScheduler, marbles: Marbles) -> None:
    network = VirtualNetwork(scheduler, bandwidth=10_000)
    arrivals = flood(network, marbles, count=5, size=972, rate=1_000_000)  # and 28 bytes of headers
    assert arrivals == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5], abs=1e-4)


def test_a_link_of_its_own_joins_two_hosts_in_both_directions_or_one(network: VirtualNetwork, marbles: Marbles) -> None:
    ends = [network.open_channel(host=f"10.0.0.{number}") for number in (1, 2, 3)]
    network.set_link("10.0.0.1", "10.0.0.2", latency=1.0)
    network.set_link("10.0.0.1", "10.0.0.3", latency=2.0, one_way=True)
    recordings = [marbles.record(texts(end)) for end in ends]
    for number, end in enumerate(ends, start=1):
        ipc.run(end.broadcast(str(number)))
    marbles.scheduler.start()
    assert [{event.value: event.time for event in recording.events} for recording in recordings] == [
        {"1": 0.0, "2": 1.0, "3": 0.2},
        {"1": 1.0, "2": 0.0, "3": 0.2},
        {"1": 2.0, "2": 0.2, "3": 0.0},
    ]


@pytest.mark.parametrize(
    ("hosts", "one_way"), [(["10.0.0.1"], False), (["10.0.0.1", "10.0.0.2", "10.0.0.3"], False), ([], True)]
)
def test_a_link_of_other_than_two_hosts_is_a_mistake(network: VirtualNetwork, hosts: list[str], one_way: bool) -> None:
    for host in hosts:
        network.add_host(host)
    with pytest.raises(ipc.InvalidOption, match="two"):
        network.set_link(*hosts, one_way=one_way, loss=0.5)


def test_a_channel_hears_the_sources_that_it_names_and_no_others(network: VirtualNetwork, marbles: Marbles) -> None:
    listener = network.open_channel(sources=["10.0.0.8"])
    for host in ("10.0.0.8", "10.0.0.9"):
        network.open_channel(host=host).broadcast(f"from {host}").subscribe()
    marbles.expect(texts(listener)).to_be("--a", a="from 10.0.0.8")
    marbles.close()


def test_a_group_is_the_same_however_it_is_written(network: VirtualNetwork, marbles: Marbles) -> None:
    channel = network.open_channel(group="ff05::a:7")
    marbles.expect(texts(channel)).to_be("a", a="x")
    channel.send("x", ipc.DEFAULT_PORT, "FF05:0::A:7").subscribe()
    marbles.close()


def test_links_change_from_now_on(network: VirtualNetwork, marbles: Marbles) -> None:
    one, two = network.open_channel(), network.open_channel()
    recording = marbles.record(texts(two))
    ipc.run(one.broadcast("slow"))
    network.set_link(latency=0.1)
    ipc.run(one.broadcast("quick"))
    network.set_link(loss=1.0)
    ipc.run(one.broadcast("lost"))
    marbles.scheduler.start()
    assert recording.events == [Event(0.1, "next", "quick"), Event(0.2, "next", "slow")]


def test_the_sides_of_a_partition_do_not_hear_each_other_until_it_heals(
    network: VirtualNetwork, marbles: Marbles
) -> None:
    ends = [network.open_channel(host=f"10.0.0.{number}") for number in (1, 2, 3, 4)]
    recordings = [marbles.record(texts(end)) for end in ends]
    network.partition("10.0.0.1", ["10.0.0.2", "10.0.0.3"])
    for number, end in enumerate(ends, start=1):
        ipc.run(end.broadcast(str(number)))
    marbles.scheduler.start()
    assert [sorted(recording.values) for recording in recordings] == [["1"], ["2", "3"], ["2", "3"], ["4"]]
    network.heal()
    ipc.run(ends[0].broadcast("whole"))
    marbles.scheduler.start()
    assert all(recording.values[-1] == "whole" for recording in recordings)
    assert network.traffic.cut == 10


def test_what_is_on_its_way_when_the_network_parts_is_lost(network: VirtualNetwork, marbles: Marbles) -> None:
    one, two = network.open_channel(), network.open_channel()
    recording = marbles.record(texts(two))
    ipc.run(one.broadcast("x"))
    marbles.scheduler.advance_by(0.1)
    network.partition("10.0.0.1")
    marbles.scheduler.start()
    assert recording.values == []


def test_a_host_on_two_sides_or_on_none_is_a_mistake(network: VirtualNetwork) -> None:
    network.add_host("10.0.0.1")
    with pytest.raises(ipc.InvalidOption, match="two sides"):
        network.partition("10.0.0.1", ["10.0.0.1"])
    with pytest.raises(ipc.InvalidAddress, match=r"no host '10\.0\.0\.9'"):
        network.partition("10.0.0.9")
    with pytest.raises(ipc.InvalidAddress, match="no host"):
        network.set_link("10.0.0.1", "10.0.0.9", loss=1)


def cause(send: rx.Observable[None]) -> int | None:
    """The number of the OS error that a send failed with."""
    with pytest.raises(ipc.SendFailed) as caught:
        ipc.run(send)
    assert isinstance(caught.value.__cause__, OSError)
    return caught.value.__cause__.errno


def test_sends_fail_as_real_ones_do(network: VirtualNetwork) -> None:
    channel = network.open_channel(host="10.0.0.1")
    network.add_host("10.0.0.2")
    assert cause(channel.send("x", 5000, "10.0.0.9")) == errno.EHOSTUNREACH
    ipc.run(channel.send("x", 5000, "10.0.0.2"))  # nobody is on that port, which a sender does not learn
    network.take_down("10.0.0.1")
    assert cause(channel.broadcast("x")) == errno.ENETUNREACH
    network.bring_up("10.0.0.1")
    ipc.run(channel.broadcast("x"))
    assert (channel.statistics.sent, channel.statistics.refused) == (2, 2)


def test_a_host_whose_interface_is_down_hears_nobody(network: VirtualNetwork, marbles: Marbles) -> None:
    one, two = network.open_channel(host="10.0.0.1"), network.open_channel(host="10.0.0.2")
    recording = marbles.record(texts(two))
    network.take_down("10.0.0.2")
    ipc.run(one.broadcast("lost"))
    marbles.scheduler.start()
    network.bring_up("10.0.0.2")
    ipc.run(one.broadcast("heard"))
    marbles.scheduler.start()
    assert recording.values == ["heard"]


def test_what_arrives_while_a_host_does_not_read_waits_in_the_receive_buffer_and_the_rest_is_dropped(
    scheduler: TestScheduler, marbles: Marbles
) -> None:
    """The counts are those of Linux: 212 992 bytes hold 256 tiny datagrams, 92 of 1 KB or 3 of 60 KB."""
    for size, held in ((1, 256), (1024, 92), (60_000, 3)):
        network = VirtualNetwork(scheduler)
        sender = network.open_channel()
        reader = network.open_channel(host="10.0.0.9", receive_buffer=212_992 // 2)
        recording = marbles.record(texts(reader))
        network.pause("10.0.0.9")
        ipc.run(sender.broadcast_all([bytes(size)] * 500))
        marbles.scheduler.advance_by(1)
        assert recording.values == []
        network.resume("10.0.0.9")
        assert len(recording.values) == held
        assert (reader.statistics.received, reader.statistics.dropped) == (held, 500 - held)


def test_every_datagram_can_be_seen_as_it_is_sent(network: VirtualNetwork, marbles: Marbles) -> None:
    one, two = network.open_channel(host="10.0.0.1"), network.open_channel(host="10.0.0.2")
    sent = marbles.record(network.datagrams)
    network.set_link(loss=1.0)
    ipc.run(one.broadcast("to all"))
    marbles.scheduler.advance_by(1)
    ipc.run(two.send("to one", one.sender_address[1], "10.0.0.1"))
    assert sent.values == [
        Datagram(0.0, one.sender_address, ("224.0.2.1", 61088), b"to all"),
        Datagram(1.0, two.sender_address, one.sender_address, b"to one"),
    ]


def test_a_process_can_be_put_on_the_network_without_a_change(network: VirtualNetwork, marbles: Marbles) -> None:
    peer = network.open_channel(host="10.0.0.2")
    heard_by_peer = marbles.record(peer.messages.pipe(ops.map(lambda m: (m.address, m.text))))
    with network.this_process(host="10.0.0.9") as host:
        recording = marbles.record(ipc.messages().pipe(ops.map(lambda m: m.text)))
        ipc.run(ipc.broadcast("shared"))
        with ipc.open_channel() as own:
            ipc.run(own.broadcast("own"))
        ipc.run(ipc.with_socket(lambda api: api.broadcast("with_socket")))
        ipc.run(ipc.send("direct", peer.sender_address[1], "10.0.0.2"))
        ipc.run(peer.broadcast("answer"))
        marbles.scheduler.start()
    assert host == "10.0.0.9"
    assert recording.values == ["shared", "own", "with_socket", "answer"]
    assert heard_by_peer.values == [
        ("10.0.0.2", "answer"),
        *(("10.0.0.9", text) for text in ("shared", "own", "with_socket", "direct")),
    ]


def test_what_was_left_open_on_the_network_is_closed_and_the_process_is_back_where_it_was(
    network: VirtualNetwork, marbles: Marbles, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setenv("RX_MULTICAST_IPC_INTERFACE", "lo")
    with network.this_process():
        recording = marbles.record(ipc.messages(port))
        left_open = ipc.open_channel(port)
    assert left_open.closed
    assert [event.kind for event in recording.events] == ["completed"]
    with ipc.open_channel(port) as channel:
        assert channel.group.interface == "lo"
        assert channel.sender_address[0] == "127.0.0.1"


def test_what_was_left_open_on_the_network_is_closed_in_the_order_in_which_it_was_opened(
    network: VirtualNetwork,
) -> None:
    closed: list[int] = []
    with network.this_process():
        for number in range(20):
            ipc.open_channel().messages.subscribe(on_completed=lambda number=number: closed.append(number))
    assert closed == list(range(20))


def test_host_names_are_refused_at_once_in_a_process_on_the_network(network: VirtualNetwork) -> None:
    with network.this_process(), pytest.raises(ipc.Unsupported, match="numeric address"):
        ipc.send("x", 61088, "localhost")


def test_an_ipv6_group_needs_an_ipv6_host(network: VirtualNetwork) -> None:
    with pytest.raises(ipc.InvalidAddress, match="IPv6"):
        network.open_channel(group="ff02::1:7", interface="eth0", host="10.0.0.1")


def test_hundreds_of_hosts_at_one_moment_do_not_move_the_clock(network: VirtualNetwork, marbles: Marbles) -> None:
    recordings = [marbles.record(texts(network.open_channel())) for _ in range(300)]
    ipc.run(network.open_channel().broadcast("x"))
    marbles.scheduler.start()
    assert {event.time for recording in recordings for event in recording.events} == {0.2}


@pytest.fixture
def exact() -> VirtualNetwork:
    """On a clock of this package's own."""
    return VirtualNetwork(VirtualClock(), latency=0.2)


def test_what_arrives_at_the_moment_of_a_time_out_is_in_time(exact: VirtualNetwork) -> None:
    speaker, waiting = (exact.open_channel(host=f"10.0.0.{number}") for number in (1, 2))
    outcome: list[object] = []
    waiting.wait_for_message(timeout=0.2).subscribe(lambda m: outcome.append(m.text), outcome.append)
    texts(waiting).pipe(ops.timeout(0.2, rx.just("late"), scheduler=exact.scheduler)).subscribe(outcome.append)
    speaker.broadcast("in time").subscribe()
    exact.scheduler.advance_by(0.2)
    assert outcome == ["in time", "in time"]


def test_who_sees_a_datagram_and_sends_does_not_change_what_others_see(exact: VirtualNetwork) -> None:
    channel = exact.open_channel()
    seen: list[str] = []

    def answer(datagram: Datagram) -> None:
        if datagram.payload in (b"1", b"2"):
            channel.broadcast(str(int(datagram.payload) + 1)).subscribe()

    exact.datagrams.subscribe(answer)
    exact.datagrams.subscribe(lambda datagram: seen.append(datagram.payload.decode()))
    heard: list[str] = []
    channel.messages.subscribe(lambda m: heard.append(m.text))
    channel.broadcast("1").subscribe()
    exact.scheduler.advance_by(1)
    assert (seen, heard) == (["1", "2", "3"], ["1", "2", "3"])


def test_a_hosts_interface_is_called_as_it_is_where_the_program_runs(exact: VirtualNetwork) -> None:
    exact.add_host("10.0.0.1", interface="wlan0")
    channel = exact.open_channel(host="10.0.0.1", interface=["lo", "wlan0"])
    heard: list[str] = []
    channel.messages.subscribe(lambda m: heard.append(m.interface))
    channel.broadcast("x").subscribe()
    exact.open_channel(host="10.0.0.2").broadcast("y").subscribe()
    exact.scheduler.advance_by(1)
    assert heard == ["lo", "wlan0", "wlan0"]
    with pytest.raises(ipc.InvalidInterface, match=r'no interface \'eth0\' on .* add_host\("10.0.0.1", interface='):
        exact.open_channel(host="10.0.0.1", interface="eth0")
    for name in ("", 5, "10.0.0.9"):
        with pytest.raises(ipc.InvalidInterface, match="an interface has a name"):
            exact.add_host("10.0.0.1", interface=name)  # pyright: ignore[reportArgumentType]


def test_ctrl_c_in_a_subscriber_is_for_who_moves_the_clock(exact: VirtualNetwork) -> None:
    channel = exact.open_channel()
    heard: list[str] = []

    def interrupted(_: ipc.Message) -> None:
        raise KeyboardInterrupt

    channel.messages.subscribe(interrupted)
    channel.messages.subscribe(lambda m: heard.append(m.text))
    channel.broadcast("x").subscribe()
    with pytest.raises(KeyboardInterrupt):
        exact.scheduler.advance_by(1)
    channel.broadcast("y").subscribe()
    exact.scheduler.advance_by(1)
    assert heard == ["y"]


def test_one_of_several_interfaces_that_is_down_refuses_and_the_other_sends(exact: VirtualNetwork) -> None:
    channel = exact.open_channel(host="10.0.0.1", interface=["lo", "eth0"])
    heard: list[str] = []
    channel.messages.subscribe(lambda m: heard.append(m.interface))
    exact.take_down("10.0.0.1")
    channel.broadcast("x").subscribe()
    exact.scheduler.advance_by(1)
    assert heard == ["lo"]
    assert (channel.statistics.sent, channel.statistics.refused) == (1, 1)


def test_an_event_loop_may_move_the_clock_and_nothing_waits_for_itself(exact: VirtualNetwork) -> None:
    channel = exact.open_channel()
    heard: list[str] = []
    after_the_first = channel.messages.pipe(
        ops.take(1), ops.flat_map(lambda _: channel.wait_for_message(lambda m: m.text == "two", timeout=5))
    )
    after_the_first.subscribe(lambda m: heard.append(m.text))

    async def main() -> None:
        for text in ("one", "two"):
            channel.broadcast(text).subscribe()
            exact.scheduler.advance_by(1)

    asyncio.run(main())
    assert heard == ["two"]
