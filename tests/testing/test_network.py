from __future__ import annotations

import threading

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import Event, Marbles, VirtualNetwork


@pytest.fixture
def scheduler() -> TestScheduler:
    return TestScheduler()


@pytest.fixture
def marbles(scheduler: TestScheduler) -> Marbles:
    return Marbles(scheduler, frame=0.1)


@pytest.fixture
def network(scheduler: TestScheduler) -> VirtualNetwork:
    return VirtualNetwork(scheduler, latency=0.2)


def texts(channel: ipc.Channel) -> rx.Observable[str]:
    return channel.messages.pipe(ops.map(lambda m: m.text))


def test_a_broadcast_arrives_everywhere_after_the_latency(network: VirtualNetwork, marbles: Marbles) -> None:
    one, two = network.open_channel(host="10.0.0.1"), network.open_channel(host="10.0.0.2")
    here, there = marbles.record(texts(one)), marbles.record(texts(two))
    expected = marbles.events("--(ab)", {"a": "first", "b": "second"})
    ipc.run(one.broadcast_all(["first", "second"]))
    marbles.scheduler.start()
    assert here.events == there.events == expected


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
    rx.timer(5.0).pipe(ops.flat_map(lambda _: channel.broadcast("x"))).subscribe(scheduler=scheduler)
    scheduler.start()
    assert (seen[0].sender, seen[0].received_at) == (channel.sender_address, 5.2)
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
    assert waiting.events == [Event(0.2, "next", waiting.values[0]), Event(0.2, "completed")]
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
    one = network.open_channel()
    expected = marbles.events("--abcde")
    recording = marbles.record(texts(one))
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


@pytest.mark.parametrize("latency", [-1, "x"])
def test_a_latency_that_is_none_is_refused(scheduler: TestScheduler, latency: float) -> None:
    with pytest.raises(ipc.InvalidOption, match="seconds"):
        VirtualNetwork(scheduler, latency=latency)


def test_a_host_that_is_no_address_is_refused(network: VirtualNetwork) -> None:
    with pytest.raises(ipc.InvalidAddress, match="numeric address"):
        network.open_channel(host="bot")


def test_a_paced_transfer_does_not_make_up_for_time_when_there_was_nothing_to_send(
    network: VirtualNetwork, marbles: Marbles
) -> None:
    one = network.open_channel()
    recording = marbles.record(texts(one))
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
