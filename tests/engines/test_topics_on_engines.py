"""Topics are part of where messages go on engines, so that a server sends no more than was asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork
from rx_multicast_ipc.transport.engine.nats import subjects
from rx_multicast_ipc.transport.engine.nats.connection import NatsConnection
from rx_multicast_ipc.transport.engine.nats.wire import Delivered
from rx_multicast_ipc.transport.engine.numbered_arrivals import NumberedArrivals
from rx_multicast_ipc.transport.engine.running_numbers import RunningNumbers
from rx_multicast_ipc.transport.engine.sent_topics import Run, SentTopics, note_sent
from rx_multicast_ipc.transport.engine.subject_tokens import levels_of
from rx_multicast_ipc.transport.engine.zenoh import keys

from ..nats_servers import NatsServer
from ..transport_rigs import zenoh_router
from ..zenoh_routers import needs_zenoh
from .helpers import PATIENCE, alone, make_stream, subscribe, until

GROUP = ipc.Group.of(61088)
SENDER = ("0123456789abcdef", 7)


def nats_interface(server: NatsServer, name: str) -> ipc.Nats:
    return alone(server.url, name)


def zenoh_interface(_: NatsServer, name: str) -> ipc.Zenoh:
    return ipc.Zenoh(zenoh_router().url, config={"metadata": {"name": name}})


engines = pytest.mark.parametrize(
    "interface_of", [nats_interface, pytest.param(zenoh_interface, marks=needs_zenoh)], ids=["nats", "zenoh"]
)
LIST = [
    *[b"plain", b"robot/pose\0p1", b"robot/pose\0p2", b"other\0o1", b"robot\0r1", b"robot/arm/left\0a1", b"\0plain"],
    *[b"robot/pose\0p3", b"other/pose\0o2", b"robot/arm\0a2", b"end\0"],
]


def heard(channel: ipc.Channel, last: bytes) -> list[bytes]:
    data: list[bytes] = []
    while not data or data[-1] != last:
        data.append(ipc.run(channel.wait_for_message(timeout=PATIENCE)).data)
    return data


@engines
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("robot/*", [LIST[1], LIST[2], LIST[7], LIST[9]]),
        ("robot/**", [LIST[1], LIST[2], LIST[4], LIST[5], LIST[7], LIST[9]]),
        ("*/pose", [LIST[1], LIST[2], LIST[7], LIST[8]]),
        ("other", [LIST[3]]),
        ("**", [data for data in LIST if data not in (b"plain", b"\0plain")]),
    ],
)
def test_a_channel_for_some_topics_hears_these_in_order_and_has_lost_nothing(
    server: NatsServer, port: int, interface_of: Any, pattern: str, expected: list[bytes]
) -> None:
    with (
        ipc.open_channel(port, interface=interface_of(server, "one")) as one,
        ipc.open_channel(port, interface=interface_of(server, "one"), topics=pattern) as beside,
        ipc.open_channel(port, interface=interface_of(server, "other"), topics=pattern) as apart,
        ipc.open_channel(port, interface=interface_of(server, "other")) as everything,
    ):
        for _ in range(3):
            ipc.run(one.broadcast_all(LIST))
            for data in LIST:
                ipc.run(one.broadcast(data))
        ipc.run(one.send(b"direct", apart.sender_address))
        ipc.run(one.send(b"direct", beside.sender_address))
        assert heard(everything, LIST[-1])[:-1] == LIST[:-1]
        for channel in (beside, apart):
            told = [ipc.run(channel.wait_for_message(timeout=PATIENCE)) for _ in range(6 * len(expected) + 1)]
            assert [message.data for message in told if not message.direct] == 6 * expected
            assert {message.sender for message in told} == {one.sender_address}
            assert channel.statistics.lost == 0
        until(lambda: everything.statistics.received == 6 * len(LIST))
        assert everything.statistics.lost == 0


def test_the_server_sends_no_other_topics(server: NatsServer, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[bytes] = []
    take = NatsConnection.take

    def look_and_take(self: NatsConnection, messages: list[Delivered]) -> None:
        came.extend(each.payload for each in messages)
        take(self, messages)

    with (
        ipc.open_channel(port, interface=alone(server.url, "one")) as one,
        ipc.open_channel(port, interface=alone(server.url, "other"), topics="robot/*") as other,
    ):
        monkeypatch.setattr(NatsConnection, "take", look_and_take)
        ipc.run(one.broadcast_all([*LIST * 10, b"robot/last\0"]))
        assert heard(other, b"robot/last\0")
        assert set(came) == {LIST[1], LIST[2], LIST[7], LIST[9], b"robot/last\0"}


ROBOTS = [LIST[1], LIST[2], LIST[7], LIST[9]]


@pytest.mark.parametrize(
    "options", [{}, {"presence": "Ann"}, {"reliable": True}], ids=["plain", "presence", "reliable"]
)
def test_it_hears_what_it_publishes_itself_on_a_network_too(port: int, options: Any) -> None:
    with ipc.open_channel(port, topics="robot/*", **options) as channel:
        ipc.run(channel.broadcast_all([*LIST, b"robot/last\0"]))
        assert heard(channel, b"robot/last\0") == [*ROBOTS, b"robot/last\0"]


def test_it_hears_no_other_topics_on_a_virtual_network(port: int) -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock)
    told: list[bytes] = []
    network.open_channel(port, topics="robot/*").messages.subscribe(lambda message: told.append(message.data))
    network.open_channel(port).broadcast_all(LIST).subscribe()
    clock.advance_by(1.0)
    assert told == ROBOTS


def test_others_read_topics_with_any_client_of_nats(server: NatsServer, port: int) -> None:
    client: Any = pytest.importorskip("nats")

    async def listen(channel: ipc.Channel) -> list[bytes]:
        connection = await client.connect(server.url)
        some = await subscribe(connection, f"rx.224-0-2-1.{port}.*.*.robot.>")
        everything = await subscribe(connection, f"rx.224-0-2-1.{port}.>")
        for data in (b"plain", b"robot/pose\0p1", "a b.c/ü*".replace("*", "").encode() + b"\0x"):
            await channel.broadcast(data)
        subjects_heard: list[str] = []
        found = [(await some.next_msg(timeout=PATIENCE)).data]
        for _ in range(3):
            message = await everything.next_msg(timeout=PATIENCE)
            found.append(message.data)
            subjects_heard.append(message.subject)
        assert subjects_heard[-1].endswith(".a%20b%2Ec.%C3%BC")
        # Who is no channel publishes likewise.
        await connection.publish(f"rx.224-0-2-1.{port}.shell.0.robot.pose", b"robot/pose\0from a shell")
        await connection.close()
        return found

    with (
        ipc.open_channel(port, interface=server.url) as channel,
        ipc.open_channel(port, interface=alone(server.url, "other"), topics="robot/*") as other,
    ):
        found = asyncio.run(listen(channel))
        assert found == [b"robot/pose\0p1", b"plain", b"robot/pose\0p1", "a b.c/ü".encode() + b"\0x"]
        assert heard(other, b"robot/pose\0from a shell")[0] == b"robot/pose\0p1"


def test_a_stream_keeps_topics_too_and_a_message_to_one_is_acknowledged_and_kept_once(
    streams: NatsServer, port: int
) -> None:
    make_stream(streams.url, "HISTORY", f"rx.224-0-2-1.{port}.>")
    with (
        ipc.open_channel(port, interface=streams.url) as channel,
        ipc.open_channel(port, interface=alone(streams.url, "other"), topics="robot/*") as other,
    ):
        once = channel.broadcast(b"robot/pose\0once", acknowledged=True)
        assert ipc.run(once) == ipc.run(once)
        ipc.run(channel.broadcast(b"plain", acknowledged=True))
        ipc.run(channel.broadcast(b"robot/pose\0last", acknowledged=True))
        assert heard(other, b"robot/pose\0last") == [b"robot/pose\0once", b"robot/pose\0last"]
        assert other.statistics.lost == 0
    for topics, expected in ((None, 3), ("robot/*", 2)):
        kept: list[ipc.Message] = []
        past = ipc.messages(port, interface=streams.url, since="all", until_now=True, topics=topics)
        past.subscribe(kept.append)
        until(lambda: len(kept) == expected)  # noqa: B023
        assert {message.sender for message in kept} == {channel.sender_address}


def test_latest_values_are_refused_where_they_would_not_be_heard(port: int) -> None:
    with ipc.open_channel(port, topics="robot/*") as channel, pytest.raises(ipc.Unsupported, match="presence"):
        channel.latest("price")
    with ipc.open_channel(port, topics="robot/*", presence="Ann") as channel:
        ipc.run(channel.latest("price").set(b"1"))


@pytest.mark.parametrize("wrong", ["", "robot/", "a*", "**/pose", 7, ("robot",)])
def test_what_is_no_pattern_is_refused(wrong: Any) -> None:
    with pytest.raises(ipc.InvalidTopic):
        ipc.open_channel(topics=wrong)


def in_topic(run: Run, number: int) -> int:
    return -number if run.others is None else number - run.others


NAMES = st.lists(
    st.sampled_from(["robot", "arm", "a.b", "ü x", "$>*#?%".replace("*", "")]), min_size=1, max_size=4
).map("/".join)
PATTERNS = st.tuples(
    st.lists(st.sampled_from(["*", "robot", "arm", "a.b", "ü x"]), max_size=4), st.sampled_from([[], ["**"]])
).map(lambda both: "/".join((*both[0], *both[1])) or "*")


@given(NAMES, PATTERNS)
def test_subjects_match_as_names_match_patterns_and_come_by_one_subscription_at_most(name: str, pattern: str) -> None:
    from rx_multicast_ipc.receiving.topic_filter import TopicFilter

    expected = bool(TopicFilter(pattern)([ipc.Message(name.encode() + b"\0")]))
    subject = subjects.of_topic(GROUP, SENDER, name)
    found = [filter for filter in subjects.of_topics(GROUP, pattern) if subjects.matches(filter, subject)]
    assert len(found) == expected
    assert subjects.sender_to_group(subject) == SENDER
    assert not set(subject) & set(" *>\t\r\n")
    assert keys.sender_to_group(keys.of_topic(GROUP, SENDER, name)) == SENDER
    assert not set("".join(levels_of(name))) & set("*$?#/")


@given(st.lists(st.tuples(st.lists(st.sampled_from(LIST), min_size=1, max_size=9), st.booleans()), max_size=9))
def test_numbers_within_a_topic_have_no_gaps_and_tell_what_is_missing(sends: list[tuple[list[bytes], bool]]) -> None:
    topics = SentTopics(str)
    everything = NumberedArrivals(("x", 1), (), 1 << 20)
    some = NumberedArrivals(("x", 1), (), 1 << 20, by_topic=True)
    number, robots, began = 1, 0, False
    for payloads, arrives in sends:
        runs = topics.runs(payloads, number)
        note_sent(runs, number, len(payloads))
        for run in runs:
            for place in range(run.start, run.stop) if run.topic and run.topic.place == "robot/pose" else ():
                message = ipc.Message(payloads[place], *SENDER)
                if arrives:
                    assert some.put([message], [in_topic(run, number + place)])
                    robots, began = robots + 1, True
                elif began:
                    robots += 1
        if arrives:
            everything.put([ipc.Message(data, *SENDER) for data in payloads], range(number, number + len(payloads)))
        number += len(payloads)
    runs = topics.runs([b"robot/pose\0end"], number)
    some.put([ipc.Message(b"robot/pose\0end", *SENDER)], [in_topic(runs[0], number)])
    taken: list[ipc.Message] = []
    some.move_to(taken)
    assert len(taken) - 1 + some.lost == robots


def test_some_that_were_refused_take_no_number() -> None:
    topics = SentTopics(str)
    note_sent(topics.runs(LIST, 11), 11, 2)  # one of its messages to robot/pose went out
    (run,) = topics.runs([b"robot/pose\0"], 13)
    assert (run.topic is not None and run.topic.last, run.others) == (12, 0)
    (run,) = topics.runs([b"other\0"], 13)
    assert run.others is None


def test_a_topic_that_its_sender_forgot_begins_anew_and_what_comes_twice_does_not() -> None:
    kept = RunningNumbers()
    told = [kept.missing_before(SENDER, b"robot", number) for number in (-5, -5, 6, 8, -5, 6, -100, 101, -100, 103)]
    assert told == [0, None, 0, 1, None, None, 0, 0, None, 1]
