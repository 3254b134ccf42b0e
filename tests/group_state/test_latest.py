"""Values that late joiners get, on channels of every kind, in virtual time and live."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import msgspec
import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.group_state.latest.packets import LatestValuePacket, Version, pack_latest
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork

from ..helpers import PATIENCE


class Pose(msgspec.Struct):
    x: float
    y: float


MODES: dict[str, ipc.ChannelOptions] = {
    "raw": {},
    "presence": {"presence": "somebody"},
    "reliable": {"reliable": True},
    "reliable, presence": {"reliable": True, "presence": "somebody"},
}


@pytest.fixture(params=MODES.values(), ids=[*MODES])
def options(request: pytest.FixtureRequest) -> ipc.ChannelOptions:
    return request.param


def values_of(latest: ipc.LatestValue[Any]) -> list[Any]:
    seen: list[Any] = []
    latest.subscribe(seen.append)
    return seen


def test_a_late_subscriber_gets_the_last_value_and_then_each_new_one(
    network: VirtualNetwork, clock: VirtualClock, options: ipc.ChannelOptions
) -> None:
    owner, late = (network.open_channel(**options) for _ in range(2))
    price = owner.latest("price")
    for value in (b"41", b"42"):
        price.set(value).subscribe()
        clock.advance_by(1)
    seen = values_of(late.latest("price"))
    clock.advance_by(1)
    assert seen == [b"42"]
    price.set(b"43").subscribe()
    clock.advance_by(1)
    assert seen == [b"42", b"43"]
    assert values_of(late.latest("price")) == [b"43"]


def test_values_are_no_messages(network: VirtualNetwork, clock: VirtualClock, options: ipc.ChannelOptions) -> None:
    owner, holder = (network.open_channel(**options) for _ in range(2))
    heard: list[object] = []
    for channel in (owner, holder):
        channel.messages.subscribe(heard.append)
        channel.latest("price")
    owner.latest("price").set(b"42").subscribe()
    clock.advance_by(20)
    assert heard == []


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "raw"])
def test_who_never_asked_for_a_value_hears_nothing_of_it(
    network: VirtualNetwork, clock: VirtualClock, mode: str
) -> None:
    options = MODES[mode]
    owner, other = (network.open_channel(**options) for _ in range(2))
    heard: list[object] = []
    other.messages.subscribe(heard.append)
    owner.latest("price").set(b"42").subscribe()
    clock.advance_by(20)
    assert heard == []


def test_it_outlives_who_set_it(network: VirtualNetwork, clock: VirtualClock, options: ipc.ChannelOptions) -> None:
    owner, holder = (network.open_channel(**options) for _ in range(2))
    holder.latest("price")
    owner.latest("price").set(b"42").subscribe()
    clock.advance_by(1)
    owner.close()
    clock.advance_by(2)
    seen = values_of(network.open_channel(**options).latest("price"))
    clock.advance_by(1)
    assert seen == [b"42"]


def test_a_value_that_is_set_is_there_for_who_subscribes_next(network: VirtualNetwork, clock: VirtualClock) -> None:
    price = network.open_channel().latest("price", int)
    done: list[object] = []
    price.set(42).subscribe(done.append, done.append, lambda: done.append("completed"))
    assert values_of(price) == [42]
    assert done == [None, "completed"]


def test_setting_is_cold_and_sets_at_each_subscription(network: VirtualNetwork, clock: VirtualClock) -> None:
    price = network.open_channel().latest("price", int)
    seen = values_of(price)
    setting = price.set(42)
    clock.advance_by(1)
    assert seen == []
    setting.subscribe()
    price.set(43).subscribe()
    setting.subscribe()
    assert seen == [42, 43, 42]


def test_setting_that_is_thrown_away_warns(network: VirtualNetwork) -> None:
    price = network.open_channel().latest("price", int)
    with pytest.warns(ipc.NeverSubscribedWarning, match="set of the latest value price"):
        price.set(42)


def test_a_subscriber_that_sets_a_value_makes_nobody_see_them_out_of_order(
    network: VirtualNetwork, clock: VirtualClock
) -> None:
    price = network.open_channel().latest("price", int)

    def count_on(value: int) -> None:
        if value < 3:
            price.set(value + 1).subscribe()

    price.subscribe(count_on)
    seen = values_of(price)
    price.set(1).subscribe()
    assert seen == [1, 2, 3]


def test_values_are_typed(network: VirtualNetwork, clock: VirtualClock) -> None:
    one, other = network.open_channel(), network.open_channel()
    seen = values_of(other.latest("pose", Pose, "msgpack"))
    pose = one.latest("pose", Pose, "msgpack")
    pose.set(Pose(1.5, 2)).subscribe()
    clock.advance_by(1)
    assert seen == [Pose(1.5, 2.0)]
    with pytest.raises(ipc.InvalidPayload, match="carries Pose, not 7"):
        pose.set(7)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ipc.InvalidPayload, match=r"name its type: channel.latest\(name, int\)"):
        one.latest("raw").set(7)  # pyright: ignore[reportArgumentType]


def test_a_topic_has_a_latest_value_of_its_own(network: VirtualNetwork, clock: VirtualClock) -> None:
    one, other = network.open_channel(), network.open_channel()
    topic = one.topic("robot/pose", Pose)
    published: list[Pose] = []
    other.topic("robot/pose", Pose).stream.subscribe(published.append)
    topic.latest.set(Pose(1, 2)).subscribe()
    topic.publish(Pose(3, 4)).subscribe()
    clock.advance_by(1)
    seen = values_of(other.topic("robot/pose", Pose).latest)
    clock.advance_by(1)
    assert (published, seen) == ([Pose(3, 4)], [Pose(1, 2)])


def test_what_cannot_be_decoded_is_passed_over(network: VirtualNetwork, clock: VirtualClock) -> None:
    one, other = network.open_channel(), network.open_channel()
    failed: list[ipc.DecodeFailed] = []
    seen = values_of(one.latest("pose", Pose, on_error=failed.append))
    other.latest("pose").set(b"no pose").subscribe()
    clock.advance_by(1)
    other.latest("pose", Pose).set(Pose(1, 2)).subscribe()
    clock.advance_by(1)
    assert seen == [Pose(1, 2)]
    assert [failure.message.data for failure in failed] == [b"no pose"]
    assert failed[0].message.sender == other.sender_address
    errors: list[Exception] = []
    one.latest("pose", int, on_error="raise").subscribe(on_error=errors.append)
    assert [type(error) for error in errors] == [ipc.DecodeFailed]


def test_what_is_large_goes_where_the_channel_is_reliable(network: VirtualNetwork, clock: VirtualClock) -> None:
    raw = network.open_channel().latest("image")
    largest = 65_507 - 16 - len("image")
    raw.set(bytes(largest)).subscribe()
    with pytest.raises(ipc.PayloadTooLarge, match=f"carries {largest} at most.*reliable"):
        raw.set(bytes(largest + 1))
    one, other = (network.open_channel(port=61089, reliable=ipc.Reliable(largest=2_000_000)) for _ in range(2))
    one.latest("image").set(bytes(1_500_000)).subscribe()
    clock.advance_by(5)
    seen = values_of(other.latest("image"))
    clock.advance_by(10)
    assert [len(value) for value in seen] == [1_500_000]
    with pytest.raises(ipc.PayloadTooLarge, match="Reliable"):
        one.latest("image").set(bytes(2_000_000))


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_channels_that_come_at_once_are_served_within_50_ms_by_few_answers(
    clock: VirtualClock, seed: int
) -> None:
    network = VirtualNetwork(clock, latency=0.001, loss=0.1, seed=seed)
    network.open_channel().latest("price", int).set(42).subscribe()
    clock.advance_by(20)
    answers: list[float] = []
    network.datagrams.subscribe(lambda sent: answers.append(sent.sent_at) if b"price42" in sent.payload else None)
    served: dict[int, float] = {}
    for number in range(100):

        def serve(value: int, number: int = number) -> None:
            served[number] = clock.clock - 20

        network.open_channel().latest("price", int).subscribe(serve)
    clock.advance_by(0.05)
    assert len(served) == 100
    assert len(answers) <= 10
    clock.advance_by(1)
    assert len(answers) <= 10


def test_the_same_program_gives_the_same_traffic() -> None:
    def traffic() -> list[object]:
        clock = VirtualClock()
        network = VirtualNetwork(clock, latency=0.001, loss=0.2, seed=7)
        sent: list[object] = []
        network.datagrams.subscribe(sent.append)
        for name in ("Ann", "Bob", "Cid"):
            network.open_channel(presence=name).latest("price", int).set(len(name)).subscribe()
        clock.advance_by(60)
        return sent

    assert traffic() == traffic()


def test_a_lossy_raw_network_makes_all_alike(clock: VirtualClock) -> None:
    network = VirtualNetwork(clock, latency=0.001, loss=0.3, seed=1)
    channels = [network.open_channel() for _ in range(20)]
    seen = [values_of(channel.latest("price", int)) for channel in channels]
    clock.advance_by(2)
    for value in range(10):
        channels[value].latest("price", int).set(value).subscribe()
        clock.advance_by(0.2)
    clock.advance_by(2)
    assert [values[-1] for values in seen] == [9] * 20


def test_a_partition_and_its_heal(network: VirtualNetwork, clock: VirtualClock) -> None:
    hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    channels = [network.open_channel(host=host) for host in hosts]
    seen = [values_of(channel.latest("price", int)) for channel in channels]
    clock.advance_by(2)
    network.partition(hosts[:1], hosts[1:])
    channels[0].latest("price", int).set(1).subscribe()
    clock.advance_by(1)
    channels[1].latest("price", int).set(2).subscribe()
    channels[1].latest("price", int).set(3).subscribe()
    clock.advance_by(60)
    assert seen == [[1], [2, 3], [2, 3]]
    network.heal()
    clock.advance_by(30)
    assert seen == [[1, 3], [2, 3], [2, 3]]


def test_a_forged_version_does_not_end_what_can_be_set(network: VirtualNetwork, clock: VirtualClock) -> None:
    one, stranger = network.open_channel(), network.open_channel()
    price = one.latest("price", int)
    seen = values_of(price)
    stranger.broadcast(pack_latest(LatestValuePacket("price", Version(2**63 - 1, 7), b"666"))).subscribe()
    clock.advance_by(1)
    errors: list[Exception] = []
    price.set(1).subscribe(on_error=errors.append)
    assert seen == [666]
    assert [type(error) for error in errors] == [ipc.SendFailed]
    assert "another name" in str(errors[0])


def test_strangers_who_ask_again_and_again_are_answered_within_a_limit(
    network: VirtualNetwork, clock: VirtualClock
) -> None:
    from rx_multicast_ipc.group_state.latest.packets import AskPacket, pack_ask
    from rx_multicast_ipc.transport.framed.packet_codec import pack_control

    owner, stranger = network.open_channel(), network.open_channel()
    owner.latest("image").set(bytes(60_000)).subscribe()
    clock.advance_by(60)
    sent = 0

    def count(datagram: Any) -> None:
        nonlocal sent
        sent += len(datagram.payload)

    network.sends(owner).subscribe(count)
    ask = pack_control(pack_ask(AskPacket("image", Version(), 0)))
    for _ in range(1000):
        stranger.broadcast(ask).subscribe()
        clock.advance_by(0.01)
    assert sent <= 10 * 1_000_000


def test_it_completes_on_close_and_errs_afterwards(
    network: VirtualNetwork, clock: VirtualClock, options: ipc.ChannelOptions
) -> None:
    channel = network.open_channel(**options)
    price = channel.latest("price")
    told: list[object] = []
    price.subscribe(told.append, told.append, lambda: told.append("completed"))
    setting = price.set(b"1")
    channel.close()
    clock.advance_by(2)
    assert told == ["completed"]
    setting.subscribe(on_error=told.append)
    price.subscribe(on_error=told.append)
    assert [type(error) for error in told[1:]] == [ipc.ChannelClosed] * 2
    for use in (lambda: price.set(b"2"), lambda: channel.latest("price"), lambda: channel.latest("other")):
        with pytest.raises(ipc.ChannelClosed):
            use()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("",), ipc.InvalidTopic),
        (("a*",), ipc.InvalidTopic),
        ((7,), ipc.InvalidTopic),
        (("a", 7), ipc.InvalidOption),
        (("a", int, "yaml"), ipc.InvalidOption),
    ],
)
def test_a_mistake_is_told_at_once_and_leaves_nothing(
    network: VirtualNetwork, arguments: Any, error: type[Exception]
) -> None:
    channel = network.open_channel()
    with pytest.raises(error):
        channel.latest(*arguments)
    with pytest.raises(ipc.InvalidPayload):
        channel.latest("price").set(7)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("mode", MODES)
def test_live_a_late_joiner_gets_the_value_and_waits_for_the_next(port: int, mode: str) -> None:
    options = MODES[mode]
    with ipc.open_channel(port, **options) as owner, ipc.open_channel(port, **options) as late:
        price = owner.latest("price", int)
        ipc.run(price.set(42), timeout=PATIENCE)
        assert ipc.run(price.pipe(ops.first()), timeout=PATIENCE) == 42  # pyright: ignore[reportArgumentType]
        assert ipc.run(late.latest("price", int).pipe(ops.first()), timeout=PATIENCE) == 42  # pyright: ignore
        ipc.run(price.set(43), timeout=PATIENCE)
        assert ipc.run(late.latest("price", int).pipe(ops.first(lambda v: v == 43)), timeout=PATIENCE) == 43


def test_live_on_an_event_loop_values_come_there(port: int) -> None:
    async def main() -> list[int]:
        async with ipc.open_channel(port) as one, ipc.open_channel(port) as other:
            await one.latest("price", int).set(1)
            seen: list[int] = []
            async for value in other.latest("price", int):
                seen.append(value)
                if value == 3:
                    return seen
                await one.latest("price", int).set(value + 1)
        return []

    assert asyncio.run(asyncio.wait_for(main(), PATIENCE)) == [1, 2, 3]


def test_blocking_in_a_subscriber_is_refused(port: int, unhandled: list[BaseException]) -> None:
    with ipc.open_channel(port) as channel:
        price = channel.latest("price", int)
        ipc.run(price.set(1))
        errors: list[Exception] = []
        price.subscribe(lambda _: ipc.run(price.pipe(ops.first())), errors.append)  # pyright: ignore[reportArgumentType]
        ipc.run(price.pipe(ops.first()), timeout=PATIENCE)  # pyright: ignore[reportArgumentType]
    assert [type(error) for error in [*errors, *unhandled]][:1] == [ipc.WouldDeadlock]
    unhandled.clear()


def test_a_channel_that_keeps_values_is_let_go_of_like_any_other(port: int) -> None:
    channel = ipc.open_channel(port)
    price = channel.latest("price")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        transport = channel.transport
        del channel
        gc.collect()
        assert [warning.category for warning in caught] == [ResourceWarning]
    assert price.name == "price"
    transport.close()
