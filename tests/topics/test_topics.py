"""Topics of a channel: values under names, in raw datagrams."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NewType, TypedDict

import msgspec
import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.testing import TestScheduler

from rx_multicast_ipc.operators import Format
from rx_multicast_ipc.testing import VirtualNetwork

from ..helpers import PATIENCE, Seen, divide_by_zero, ipc, is_observed, raw_sender, read_all, run


class Pose(msgspec.Struct, tag=True):
    x: float
    y: float = 0.0


class Battery(msgspec.Struct, tag=True):
    percent: float


@dataclass
class Point:
    x: int


class Limits(TypedDict):
    low: int


Meters = NewType("Meters", float)


class Reversed:
    """A codec of the user's: text, backwards."""

    def encode(self, value: str) -> bytes:
        return value[::-1].encode()

    def decode(self, data: bytes) -> str:
        return data.decode()[::-1]


@pytest.fixture
def peer(port: int, channel: ipc.Channel) -> Any:
    with ipc.open_channel(port) as peer:
        yield peer


def test_a_value_that_is_published_arrives_as_a_value(channel: ipc.Channel, peer: ipc.Channel) -> None:
    heard = Seen(channel.topic("robot/pose", Pose).stream)
    run(peer.topic("robot/pose", Pose).publish(Pose(1.5, 2)))
    assert heard.wait_for_count(1) == [Pose(1.5, 2)]


def test_received_says_who_published_it_and_can_be_replied_to(channel: ipc.Channel, peer: ipc.Channel) -> None:
    heard = Seen(channel.topic("robot/pose", Pose).received)
    answers = Seen(peer.topic("robot/pose", Pose).received.pipe(ops.filter(lambda r: r.message.direct)))
    run(peer.topic("robot/pose", Pose).publish(Pose(1)))
    ((value, message),) = heard.wait_for_count(1)
    assert (value, message.sender) == (Pose(1), peer.sender_address)
    run(channel.reply(message, channel.topic("robot/pose", Pose).encode(Pose(2))))
    assert answers.wait_for_count(1)[0].value == Pose(2)


@pytest.mark.parametrize("format", ["json", "msgpack"])
@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Pose | Battery, Battery(50)),
        (Pose, Pose(1)),
        (Point, Point(1)),
        (Limits, {"low": 1}),
        (list[int], [1, 2]),
        (dict[str, float], {"a": 1.5}),
        (Meters, Meters(1.5)),
        (float, 3),
        (bytes, bytes(range(256))),
        (str, "é\0"),
        (Any, {"a": [None]}),
        (Pose | None, None),
    ],
)
def test_every_type_that_msgspec_knows_goes_through(
    type_: Any, value: Any, format: Format, channel: ipc.Channel
) -> None:
    topic = channel.topic("any", type_, format)
    heard = Seen(topic.stream)
    run(topic.publish(value))
    assert heard.wait_for_count(1) == [value]


def test_without_a_type_a_value_is_what_the_payload_holds(channel: ipc.Channel) -> None:
    topic = channel.topic("robot/pose")
    heard = Seen(topic.stream)
    run(topic.publish({"x": 1}))
    assert heard.wait_for_count(1) == [{"x": 1}]


def test_a_codec_of_the_users_makes_and_reads_payloads(channel: ipc.Channel) -> None:
    topic = channel.topic("text", str, Reversed())
    heard, datagrams = Seen(topic.stream), Seen(channel.messages)
    run(topic.publish("abc"))
    assert heard.wait_for_count(1) == ["abc"]
    assert datagrams.wait_for_count(1)[0].data == b"text\0cba"


def test_on_the_wire_it_is_name_nul_payload_and_nothing_else(channel: ipc.Channel) -> None:
    assert channel.topic("robot/pose", Point).encode(Point(1)) == b'robot/pose\0{"x":1}'
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(PATIENCE)
        run(channel.send(channel.topic("robot/pose", Point).encode(Point(1)), listener.getsockname()[1], "127.0.0.1"))
        assert listener.recv(100) == b'robot/pose\0{"x":1}'


def test_what_a_plain_socket_says_is_heard(channel: ipc.Channel, port: int) -> None:
    heard = Seen(channel.topic("robot/pose", Point).stream)
    with raw_sender() as sender:
        sender.sendto(b'robot/pose\0{"x": 3}', (ipc.DEFAULT_GROUP, port))
    assert heard.wait_for_count(1) == [Point(3)]


def test_a_plain_socket_in_the_group_hears_what_is_published(channel: ipc.Channel, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ipc.DEFAULT_GROUP, port))
        membership = socket.inet_aton(ipc.DEFAULT_GROUP) + socket.inet_aton("127.0.0.1")
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        listener.settimeout(PATIENCE)
        run(channel.topic("robot/pose", Point).publish(Point(4)))
        assert listener.recv(100) == b'robot/pose\0{"x":4}'


def test_only_the_whole_name_chooses(channel: ipc.Channel, peer: ipc.Channel) -> None:
    heard = Seen(channel.topic("a/b", int).stream)
    for datagram in (b"a/b", b"a/bc\x001", b"a\x001", b"a/b/c\x001", b"1", b"\0a/b\x001", b"A/B\x001", b"a/b\x002"):
        run(peer.broadcast(datagram))
    assert heard.wait_for_count(1) == [2]
    read_all(channel, peer)
    assert heard.values == [2]


def test_a_bad_payload_is_logged_and_the_topic_goes_on(
    channel: ipc.Channel, peer: ipc.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Seen(channel.topic("a", int).stream)
    for datagram in (b"a\x001", b"a\0one", b"a\0", b"a\x00\xff", b"a\x002"):
        run(peer.broadcast(datagram))
    assert heard.wait_for_count(2) == [1, 2]
    assert "cannot decode" in caplog.text


def test_a_bad_payload_goes_where_on_error_says(channel: ipc.Channel, peer: ipc.Channel) -> None:
    failures: list[ipc.DecodeFailed] = []
    skipping = Seen(channel.topic("a", int, on_error="skip").stream)
    handing = Seen(channel.topic("a", int, on_error=failures.append).stream)
    raising = channel.topic("a", int, on_error="raise")
    ending, retrying = Seen(raising.received), Seen(raising.stream.pipe(ops.retry(2)))
    run(peer.broadcast(b"a\0bad"))
    assert isinstance(ending.wait_for_end().error, ipc.DecodeFailed)
    run(peer.broadcast(b"a\x001"))
    for seen in (skipping, handing, retrying):
        assert seen.wait_for_count(1) == [1]
    assert [failure.message.data for failure in failures] == [b"a\0bad"]


def test_a_payload_is_decoded_once_for_all_who_listen(channel: ipc.Channel) -> None:
    decoded: list[bytes] = []

    class Counting(Reversed):
        def decode(self, data: bytes) -> str:
            decoded.append(data)
            return super().decode(data)

    topic = channel.topic("text", str, Counting())
    listeners = [Seen(topic.stream), Seen(topic.stream), Seen(topic.received)]
    run(topic.publish("abc"))
    for seen in listeners:
        seen.wait_for_count(1)
    assert decoded == [b"cba"]


def test_a_raising_subscriber_is_detached_and_costs_the_others_nothing(
    channel: ipc.Channel, unhandled: list[BaseException]
) -> None:
    topic, other = channel.topic("a", int), channel.topic("a", int)
    before = Seen(topic.stream)
    topic.stream.subscribe(divide_by_zero)
    topic.received.subscribe(divide_by_zero)
    channel.topics("*").subscribe(divide_by_zero)
    others = [Seen(topic.stream), Seen(other.stream)]
    for number in range(10):
        run(topic.publish(number))
    for seen in (before, *others):
        assert seen.wait_for_count(10) == list(range(10))
    assert [type(error) for error in unhandled] == [ZeroDivisionError] * 3
    unhandled.clear()


def exit_of(failure: ipc.DecodeFailed) -> None:
    sys.exit(str(failure))


class Exiting(Reversed):
    def decode(self, data: bytes) -> str:
        sys.exit(data.decode())


@pytest.mark.parametrize("handled", [False, True])
def test_not_even_an_exit_in_a_codec_or_a_handler_costs_other_topics_anything(
    handled: bool, channel: ipc.Channel, unhandled: list[BaseException]
) -> None:
    bad = channel.topic("a", int, on_error=exit_of) if handled else channel.topic("a", str, Exiting())
    ended, others = Seen[Any](bad.stream), Seen(channel.topics("*"))
    good = Seen(channel.topic("a", str, Reversed()).stream)
    for _ in range(2):
        run(channel.broadcast(b"a\0bad"))
    assert good.wait_for_count(2) == ["dab", "dab"]
    assert len(others.wait_for_count(2)) == 2
    assert isinstance(ended.wait_for_end().error, RuntimeError)
    assert [type(error) for error in unhandled] == [SystemExit]
    unhandled.clear()


def test_what_a_busy_loop_loses_is_in_the_channels_statistics(channel: ipc.Channel) -> None:
    async def main() -> None:
        numbers = channel.topic("number", int)
        slow = aiter(ipc.to_async_iterable(numbers.stream, capacity=10))
        heard, watched = Seen(numbers.stream), Seen(channel.topics("*"))
        channel.broadcast_all([numbers.encode(number) for number in range(100)]).subscribe()
        await asyncio.to_thread(lambda: (heard.wait_for_count(100), watched.wait_for_count(100)))
        assert await anext(slow) == 90
        assert channel.statistics.discarded == 90

    asyncio.run(main())


def test_delivery_is_in_order_on_the_channels_thread(channel: ipc.Channel) -> None:
    topic = channel.topic("a", int)
    heard, plain = Seen(topic.stream), Seen(channel.messages)
    run(channel.broadcast_all([topic.encode(number) for number in range(1000)]))
    assert heard.wait_for_count(1000) == list(range(1000))
    assert heard.threads == plain.threads


def test_all_topics_listen_by_one_subscription_that_goes_with_the_last_of_them(channel: ipc.Channel) -> None:
    assert not is_observed(channel.messages)
    listeners = [channel.topic(f"a/{number}", int).stream.subscribe() for number in range(100)]
    listeners += [channel.topics("a/*").subscribe(), channel.topic("a/1", int).received.subscribe()]
    assert "1 subscriber>" in repr(channel.messages)
    for listener in listeners[:-1]:
        listener.dispose()
    assert is_observed(channel.messages)
    listeners[-1].dispose()
    assert not is_observed(channel.messages)


def test_a_topic_that_nobody_holds_is_gone(channel: ipc.Channel) -> None:
    topic = channel.topic("a", int)
    topic.stream.subscribe().dispose()
    gc.collect()
    referrers = len(gc.get_referrers(topic))
    again = topic.stream.subscribe()
    again.dispose()
    gc.collect()
    assert len(gc.get_referrers(topic)) == referrers
    assert not is_observed(channel.messages)


def test_a_topic_does_not_keep_a_channel_that_is_forgotten(port: int) -> None:
    channels = [ipc.open_channel(port)]
    transport, known = channels[0].transport, weakref.ref(channels[0])
    topic, responding = channels[0].topic("a", int), channels[0].respond(lambda m: True, lambda m: "")
    heard = [Seen[Any](topic.stream), Seen(channels[0].topics()), Seen(responding)]
    with pytest.warns(ResourceWarning, match="without being closed"):
        channels.clear()
    assert known() is None
    run(topic.publish(1))
    heard[0].wait_for_count(1)
    transport.close()
    for seen in heard:
        seen.wait_for_end()


def test_listening_again_after_everybody_left_works(channel: ipc.Channel) -> None:
    topic = channel.topic("a", int)
    for number in range(3):
        with topic.stream.subscribe():
            pass
        heard = Seen(topic.stream)
        run(topic.publish(number))
        assert heard.wait_for_count(1) == [number]
        heard.subscription.dispose()


def test_who_subscribes_or_leaves_while_it_is_delivered_hurts_nobody(channel: ipc.Channel) -> None:
    topic = channel.topic("a", int)
    late: list[Seen[int]] = []
    first = Seen(topic.stream.pipe(ops.take(1)))
    topic.stream.pipe(ops.take(1)).subscribe(lambda _: late.append(Seen(channel.topic("a", int).stream)))
    staying = Seen(topic.stream)
    run(topic.publish(1))
    run(topic.publish(2))
    assert staying.wait_for_count(2) == [1, 2]
    assert first.values == [1]
    assert late[0].wait_for_count(1) == [2]


def test_who_joins_others_of_a_topic_is_served_with_them_from_then_on(channel: ipc.Channel) -> None:
    topic = channel.topic("a", int)
    seen = [Seen(topic.stream)]
    for number in range(4):
        run(topic.publish(number))  # where it goes is known by then
        seen[0].wait_for_count(number + 1)
        seen.append(Seen(topic.stream if number % 2 else topic.received.pipe(ops.map(lambda found: found.value))))
    run(topic.publish(4))
    for number, each in enumerate(seen):
        assert each.wait_for_count(5 - number) == list(range(number, 5))


def test_one_of_a_topic_that_disposes_of_another_in_a_call_spares_it_that_message(channel: ipc.Channel) -> None:
    topic = channel.topic("a", int)
    seen: list[int] = []
    topic.stream.subscribe(lambda _: other.dispose())
    other = topic.stream.subscribe(seen.append)
    staying = Seen(topic.received)
    run(topic.publish(1))
    run(topic.publish(2))
    assert [found.value for found in staying.wait_for_count(2)] == [1, 2]
    assert seen == []


def test_who_comes_and_goes_on_other_threads_costs_a_listener_nothing(channel: ipc.Channel) -> None:
    staying = Seen(channel.topic("a", int).stream)

    def come_and_go(number: int) -> None:
        for turn in range(200):
            stream = channel.topics(f"{number}/*") if turn % 2 else channel.topic("a", int).stream
            stream.subscribe().dispose()

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for number in range(500):
        run(channel.topic("a", int).publish(number))
    for thread in threads:
        thread.join()
    assert staying.wait_for_count(500) == list(range(500))
    staying.subscription.dispose()
    assert not is_observed(channel.messages)


@pytest.mark.parametrize("_", range(20))
def test_a_close_while_others_subscribe_ends_them_all(channel: ipc.Channel, _: int) -> None:
    seen: list[Seen[Any]] = []
    started = threading.Barrier(2)

    def subscribe() -> None:
        started.wait()
        for number in range(50):
            seen.extend([Seen(channel.topic(f"a/{number}", int).stream), Seen(channel.topics())])

    thread = threading.Thread(target=subscribe)
    thread.start()
    started.wait()
    channel.close()
    thread.join()
    for listening in seen:
        listening.wait_for_end()
    assert not is_observed(channel.messages)


@pytest.mark.parametrize("pattern", [False, True])
def test_who_subscribes_while_the_channel_closes_is_told(
    channel: ipc.Channel, monkeypatch: pytest.MonkeyPatch, pattern: bool
) -> None:
    source = channel.topics() if pattern else channel.topic("a", int).stream
    other = Seen(channel.topic("b", int).stream)

    def closed_meanwhile() -> None:
        channel.close()
        other.wait_for_end()

    monkeypatch.setattr(source, "_refusal", closed_meanwhile)
    assert isinstance(Seen(source).wait_for_end().error, ipc.ChannelClosed)


def test_who_subscribes_while_the_last_other_one_leaves_hears(channel: ipc.Channel) -> None:
    router: Any = channel._router  # pyright: ignore[reportPrivateUsage]
    topic = channel.topic("a", int)
    leaving = Seen(topic.stream)
    left, joined = threading.Event(), threading.Event()

    def dispose() -> None:
        router._lock = LateLock(router._lock, left, joined)
        leaving.subscription.dispose()

    lock = router._lock
    thread = threading.Thread(target=dispose)
    thread.start()
    assert left.wait(PATIENCE)
    router._lock = lock
    staying = Seen(topic.stream)
    joined.set()
    thread.join()
    run(topic.publish(1))
    assert staying.wait_for_count(1) == [1]


class LateLock:
    """A lock that whoever takes it next gets late.

    Args:
        lock: the lock.
        wanted: set when it is wanted.
        go_on: waited for then.
    """

    def __init__(self, lock: Any, wanted: threading.Event, go_on: threading.Event) -> None:
        self._lock = lock
        self._wanted = wanted
        self._go_on = go_on

    def __enter__(self) -> None:
        self._wanted.set()
        assert self._go_on.wait(PATIENCE)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def unbind(channel: ipc.Channel) -> None:
    run(channel.unbind())


@pytest.mark.parametrize("ends", [unbind, ipc.Channel.close])
def test_closing_completes_it_and_nobody_can_listen_or_publish_then(
    channel: ipc.Channel, ends: Callable[[ipc.Channel], None]
) -> None:
    topic = channel.topic("a", int)
    seen: list[Seen[Any]] = [Seen(topic.stream), Seen(topic.received), Seen(channel.topics())]
    ends(channel)
    for listening in seen:
        assert listening.wait_for_end().completed
    assert isinstance(Seen(topic.stream).error, ipc.ChannelClosed)
    assert isinstance(Seen(channel.topics()).error, ipc.ChannelClosed)
    with pytest.raises(ipc.ChannelClosed):
        topic.publish(1)


def test_publishing_is_cold_and_sends_once_a_subscription(channel: ipc.Channel) -> None:
    topic = channel.topic("a", int)
    heard = Seen(topic.stream)
    publish = topic.publish(7)
    assert heard.values == []
    run(publish)
    run(publish)
    assert heard.wait_for_count(2) == [7, 7]


def test_a_publish_that_is_thrown_away_is_warned_of(channel: ipc.Channel) -> None:
    topic = channel.topic("a", int)
    with pytest.warns(ipc.NeverSubscribedWarning, match="never subscribed"):
        topic.publish(1)


def test_a_mistake_in_a_value_is_told_at_once(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidPayload, match="carries Pose, not 'north'"):
        channel.topic("robot/pose", Pose).publish("north")  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        ipc.InvalidPayload, match=r"robot/pose cannot carry .*; make of it what msgspec knows, .* format="
    ):
        channel.topic("robot/pose").publish(object())
    with pytest.raises(ipc.InvalidPayload, match="robot/pose cannot carry"):
        channel.topic("robot/pose", str, Reversed()).publish("\ud800")
    with pytest.raises(ipc.PayloadTooLarge):
        channel.topic("robot/pose", str).publish("x" * 65_500)


@pytest.mark.parametrize(
    ("arguments", "error", "advice"),
    [
        (("a/", int), ipc.InvalidTopic, "'a'"),
        (("a", "Pose"), ipc.InvalidOption, "Struct"),
        (("a", len), ipc.InvalidOption, "format="),
        (("a", int, "xml"), ipc.InvalidOption, "msgpack"),
    ],
)
def test_a_mistake_in_a_topic_is_told_at_once(
    arguments: tuple[Any, ...], error: type[Exception], advice: str, channel: ipc.Channel
) -> None:
    with pytest.raises(error, match=advice):
        channel.topic(*arguments)
    with pytest.raises(ipc.InvalidOption, match="on_error"):
        channel.topic("a", int, on_error="ignore")  # pyright: ignore[reportArgumentType, reportCallIssue]


class TestExploring:
    def test_topics_tells_every_topic_that_matches(self, channel: ipc.Channel, peer: ipc.Channel) -> None:
        every, some = Seen(channel.topics()), Seen(channel.topics("robot/*"))
        for datagram in (b"no topic", b'robot/pose\0{"x":1}', b"robot\0{}", b"robot/arm/1\0{}", b"\xff\0x", b"a//b\0x"):
            run(peer.broadcast(datagram))
        read_all(channel, peer)
        assert [found.topic for found in every.values] == ["robot/pose", "robot", "robot/arm/1"]
        assert [found.topic for found in some.values] == ["robot/pose"]
        (found,) = some.values
        assert found.message.sender == peer.sender_address
        assert (found.payload, found.text, found.json()) == (b'{"x":1}', '{"x":1}', {"x": 1})
        assert found.decode(Point) == Point(1)
        assert every.values[0] is found

    def test_a_payload_that_is_no_such_value_says_so(self, channel: ipc.Channel) -> None:
        found = ipc.TopicMessage("a", ipc.Message(b"a\0nonsense"))
        with pytest.raises(ipc.DecodeFailed):
            found.json()
        with pytest.raises(ipc.DecodeFailed):
            found.decode(int, format="msgpack")

    def test_made_up_names_take_no_more_than_bounded_memory(self, channel: ipc.Channel) -> None:
        topic = channel.topic("a", int)
        heard, exploring = Seen(topic.stream), Seen(channel.topics("*").pipe(ops.count()))
        payloads = [f"made up {number}\0x" for number in range(20_000)]
        run(channel.broadcast_all(payloads, rate=20_000))
        run(topic.publish(1))
        heard.wait_for_count(1)
        router: Any = channel._router  # pyright: ignore[reportPrivateUsage]
        assert len(router._finder.routes) <= 8192
        channel.close()
        assert exploring.wait_for_count(1)[0] > 0


class TestOnAsyncio:
    def test_values_come_on_the_loop(self, channel: ipc.Channel) -> None:
        async def main() -> list[int]:
            topic = channel.topic("a", int)
            values: list[int] = []
            stream = aiter(ipc.to_async_iterable(topic.stream))
            for number in range(3):
                await topic.publish(number)
            async for value in stream:
                values.append(value)
                if len(values) == 3:
                    break
            return values

        assert asyncio.run(main()) == [0, 1, 2]


class TestInVirtualTime:
    def test_a_topic_is_the_same_on_a_virtual_network(self) -> None:
        scheduler: VirtualTimeScheduler = TestScheduler()
        network = VirtualNetwork(scheduler, latency=0.5)
        robot, watch = network.open_channel(), network.open_channel()
        heard, found = Seen(watch.topic("robot/pose", Pose).received), Seen(watch.topics("**"))
        robot.topic("robot/pose", Pose).publish(Pose(1)).subscribe()
        assert heard.values == []
        scheduler.advance_by(1)
        assert [received.value for received in heard.values] == [Pose(1)]
        assert heard.values[0].message.received_at == 0.5
        assert [one.topic for one in found.values] == ["robot/pose"]


@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0*/"), min_size=1, max_size=32))
def test_any_name_finds_its_topic(name: str) -> None:
    network = VirtualNetwork(TestScheduler())
    one = network.open_channel(host="10.0.0.1")
    topic = one.topic(name, int)
    heard, found = Seen(topic.stream), Seen(one.topics(name))
    topic.publish(1).subscribe()
    network.scheduler.advance_by(1)
    assert heard.values == [1]
    assert [one.topic for one in found.values] == [name]


def test_topics_of_any_stream_of_messages() -> None:
    datagrams = [
        b"robot/pose\0[1]",
        b"hello",
        b"\0nothing",
        b"robot/arm/pose\0[2]",
        b"robot/*\0[3]",
        b"robot/bad\xff\0[4]",
    ]
    messages = rx.of(*(ipc.Message(data) for data in datagrams))

    def found(pattern: str) -> list[tuple[str, Any]]:
        stream = messages.pipe(
            ipc.operators.topics(pattern), ops.map(lambda each: (each.topic, each.json())), ops.to_list()
        )
        return ipc.run(stream)

    assert found("**") == [("robot/pose", [1]), ("robot/arm/pose", [2])]
    assert found("robot/pose") == [("robot/pose", [1])]
    assert found("robot/*/pose") == [("robot/arm/pose", [2])]


def test_topics_of_a_stream_ends_and_errs_with_it() -> None:
    ended = Seen(rx.empty().pipe(ipc.operators.topics()))
    failed = Seen(rx.throw(RuntimeError("cut")).pipe(ipc.operators.topics()))
    assert (ended.completed, str(failed.error)) == (True, "cut")


def test_topics_of_a_stream_refuses_what_is_no_pattern_and_no_stream() -> None:
    with pytest.raises(ipc.InvalidTopic, match="last level"):
        ipc.operators.topics("**/pose")
    with pytest.raises(ipc.InvalidArgument, match=r"today\.pcap"):
        ipc.operators.topics()([])  # pyright: ignore[reportArgumentType]
