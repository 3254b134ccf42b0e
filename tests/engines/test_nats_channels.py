"""What channels on NATS do beside what every transport promises."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.engine import shared_connection

from ..nats_servers import NatsServer
from .helpers import PATIENCE, alone, make_stream, subscribe, until

Texts = list[str]


def texts(*arguments: Any, **options: Any) -> Texts:
    """What was kept, as texts."""
    kept = ipc.messages(*arguments, until_now=True, **options).pipe(ops.map(lambda m: m.text), ops.to_list())
    return ipc.run(kept, timeout=PATIENCE)


def group_of(port: int) -> str:
    return f"rx.224-0-2-1.{port}.>"


class TestOneConnection:
    def test_all_channels_of_a_process_on_one_url_share_a_connection(self, server: NatsServer, port: int) -> None:
        with (
            ipc.open_channel(port, interface=server.url) as one,
            ipc.open_channel(port + 1, interface=ipc.Nats(server.url)) as other,
            ipc.open_channel(interface=ipc.Nats(server.url, subject="orders.>")) as foreign,
            ipc.open_channel(port, interface=alone(server.url, "another")) as apart,
        ):
            connections: list[Any] = [channel.transport for channel in (one, other, foreign, apart)]
            assert len({id(transport.connection) for transport in connections}) == 2
            assert one.sender_address[0] == other.sender_address[0] != apart.sender_address[0]

    def test_channels_of_one_connection_and_of_others_hear_each_other_in_order(
        self, server: NatsServer, port: int
    ) -> None:
        with (
            ipc.open_channel(port, interface=server.url) as one,
            ipc.open_channel(port, interface=server.url) as beside,
            ipc.open_channel(port, interface=alone(server.url, "another")) as apart,
        ):
            ipc.run(one.broadcast_all([f"{number}" for number in range(500)]))
            for channel in (one, beside, apart):
                for number in range(500):
                    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == f"{number}"
                assert channel.statistics.lost == 0

    def test_the_connection_ends_a_while_after_the_last_channel(
        self, server: NatsServer, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shared_connection, "KEPT", 0.05)
        with ipc.open_channel(port, interface=alone(server.url, "short")) as channel:
            opened: Any = channel.transport
        until(lambda: opened.connection.closed)
        until(lambda: not [t for t in threading.enumerate() if t.ident == opened.connection._thread._ident])
        with ipc.open_channel(port, interface=alone(server.url, "short")) as channel:
            ipc.run(channel.broadcast("again"))

    def test_sends_without_a_channel(self, server: NatsServer, port: int) -> None:
        with ipc.open_channel(port, interface=alone(server.url, "another")) as channel:
            for number in range(20):
                ipc.run(ipc.broadcast(f"{number}", port, interface=server.url))
                assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == f"{number}"
            ipc.run(ipc.send("direct", channel.sender_address, group_port=port, interface=server.url))
            assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).direct

    def test_large_messages_up_to_what_the_server_takes(self, server: NatsServer, port: int) -> None:
        with (
            ipc.open_channel(port, interface=alone(server.url, "one")) as one,
            ipc.open_channel(port, interface=alone(server.url, "other")) as other,
        ):
            assert one.transport.payload_limit == 1 << 20
            payloads = [bytes([number]) * (1 << 20) for number in range(20)]
            ipc.run(one.broadcast_all(payloads))
            for payload in payloads:
                assert ipc.run(other.wait_for_message(timeout=PATIENCE)).data == payload
            with pytest.raises(ipc.PayloadTooLarge):
                one.broadcast(bytes((1 << 20) + 1))


class TestForeignSubjects:
    def test_what_others_publish_is_heard_with_its_subject_and_answered(self, server: NatsServer) -> None:
        client: Any = pytest.importorskip("nats")

        async def ask() -> Any:
            connection = await client.connect(server.url)
            await connection.publish("orders.new", b"1")
            answer = await connection.request("orders.price.tea", b"how much?", timeout=PATIENCE)
            await connection.close()
            return answer.data

        with ipc.open_channel(interface=ipc.Nats(server.url, subject="orders.>")) as channel:
            heard: list[tuple[str, str, bool]] = []
            channel.messages.subscribe(lambda m: heard.append((m.topic, m.text, m.port > 0)))
            answering = channel.respond(lambda m: m.text == "how much?", lambda _: "4").subscribe()
            assert asyncio.run(ask()) == b"4"
            answering.dispose()
            with pytest.raises(ipc.SendFailed, match="wildcards"):
                ipc.run(channel.broadcast("x"))
        assert heard == [("orders.new", "1", False), ("orders.price.tea", "how much?", True)]

    def test_what_is_sent_there_is_plain_for_others(self, server: NatsServer) -> None:
        client: Any = pytest.importorskip("nats")

        async def listen(channel: ipc.Channel) -> tuple[str, bytes]:
            connection = await client.connect(server.url)
            subscription = await subscribe(connection, "orders.>")
            await channel.broadcast("two")
            message = await subscription.next_msg(timeout=PATIENCE)
            await connection.close()
            return message.subject, message.data

        with (
            ipc.open_channel(interface=ipc.Nats(server.url, subject="orders.new")) as channel,
            ipc.open_channel(interface=alone(server.url, "apart", subject="orders.>")) as apart,
            ipc.open_channel(interface=ipc.Nats(server.url, subject="orders.*")) as beside,
        ):
            assert asyncio.run(listen(channel)) == ("orders.new", b"two")
            for end in (channel, apart, beside):  # the library knows its own
                message = ipc.run(end.wait_for_message(timeout=PATIENCE))
                assert (message.topic, message.text, message.sender) == ("orders.new", "two", channel.sender_address)
                assert end.statistics.lost == 0
            ipc.run(beside.reply(message, "three"))
            assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).direct


class TestHistory:
    def test_the_past_then_what_comes(self, streams: NatsServer, port: int) -> None:
        make_stream(streams.url, "HISTORY", group_of(port))
        assert texts(port, interface=streams.url, since="all") == []
        assert texts(port, interface=streams.url, since="last") == []
        with ipc.open_channel(port, interface=alone(streams.url, "sender")) as channel:
            ipc.run(channel.broadcast("zero", acknowledged=True))
            between = datetime.now(UTC)
            for number in range(1, 50):
                ipc.run(channel.broadcast(f"{number}", acknowledged=True))
            live: Texts = []
            seen = ipc.messages(port, interface=streams.url, since="all").subscribe(lambda m: live.append(m.text))
            until(lambda: live)
            for number in range(50, 100):
                ipc.run(channel.broadcast(f"{number}", acknowledged=True))
            until(lambda: len(live) == 100)
            seen.dispose()
            sender = channel.sender_address
        expected = ["zero", *map(str, range(1, 100))]
        assert live == expected
        assert texts(port, interface=streams.url, since="all") == expected
        assert texts(port, interface=streams.url, since=3600) == expected
        assert texts(port, interface=streams.url, since=between) == expected[1:]
        assert texts(port, interface=streams.url, since="last") == ["99"]
        assert texts(port, interface=streams.url, since=0) == []
        (last,) = ipc.run(ipc.messages(port, interface=streams.url, since="last", until_now=True).pipe(ops.to_list()))
        assert last.sender == sender
        assert abs(last.received_at - datetime.now(UTC).timestamp()) < 600

    def test_a_slow_reader_on_an_event_loop_gets_it_whole(self, streams: NatsServer, port: int) -> None:
        make_stream(streams.url, "HISTORY", group_of(port))
        count = 20_000
        with ipc.open_channel(port, interface=streams.url) as channel:
            ipc.run(channel.broadcast_all([f"{number}" for number in range(count)]))
            ipc.run(channel.broadcast("end", acknowledged=True))

        async def read() -> Texts:
            kept = ipc.messages(port, interface=streams.url, since="all", until_now=True)
            return await kept.pipe(ops.map(lambda m: m.text), ops.to_list())

        assert asyncio.run(read()) == [*map(str, range(count)), "end"]

    def test_whoever_stops_listening_leaves_nothing(self, streams: NatsServer, port: int) -> None:
        make_stream(streams.url, "HISTORY", group_of(port))
        with ipc.open_channel(port, interface=streams.url) as channel:
            ipc.run(channel.broadcast_all([b"x"] * 100))
            ipc.run(channel.broadcast("end", acknowledged=True))
        first = ipc.messages(port, interface=streams.url, since="all").pipe(ops.take(3), ops.to_list())
        assert len(ipc.run(first)) == 3
        until(lambda: not [thread for thread in threading.enumerate() if "history" in thread.name])

    def test_a_foreign_subject_has_a_past_too(self, streams: NatsServer) -> None:
        make_stream(streams.url, "ORDERS", "orders.>")
        engine = ipc.Nats(streams.url, subject="orders.new")
        with ipc.open_channel(interface=engine) as channel:
            ipc.run(channel.broadcast("tea", acknowledged=True))
        (kept,) = ipc.run(
            ipc.messages(interface=ipc.Nats(streams.url, subject="orders.>"), since="all", until_now=True).pipe(
                ops.to_list()
            )
        )
        assert (kept.topic, kept.text) == ("orders.new", "tea")

    def test_a_message_that_is_sent_again_is_kept_and_heard_once(self, streams: NatsServer, port: int) -> None:
        make_stream(streams.url, "HISTORY", "rx.>")  # direct messages, too
        with (
            ipc.open_channel(port, interface=streams.url) as channel,
            ipc.open_channel(port, interface=alone(streams.url, "other")) as other,
        ):
            once = channel.broadcast("once", acknowledged=True)
            first, again = ipc.run(once), ipc.run(once)
            assert first == again == ipc.Acknowledged((("HISTORY", first.by[0][1]),))
            ipc.run(channel.broadcast("plain"))
            ipc.run(channel.send("direct", other.sender_address))
            heard = [ipc.run(other.wait_for_message(timeout=PATIENCE)).text for _ in range(3)]
            own = [ipc.run(channel.wait_for_message(timeout=PATIENCE)).text for _ in range(2)]
            assert (sorted(heard), own) == (["direct", "once", "plain"], ["once", "plain"])
            assert (channel.statistics.received, other.statistics.lost) == (2, 0)  # no word of the stream among them
        assert texts(port, interface=streams.url, since="all") == ["once", "plain"]

    def test_what_has_no_past(self, server: NatsServer, streams: NatsServer, port: int) -> None:
        with pytest.raises(ipc.CannotOpen, match=r"no stream of .* keeps .*nats stream add"):
            texts(port, interface=streams.url, since="all")
        with pytest.raises(ipc.CannotOpen, match="keeps no streams"):
            texts(port, interface=server.url, since="all")
        with pytest.raises(ipc.Unsupported, match="keeps no past"):
            ipc.messages(port, since="all")
        with pytest.raises(ipc.Unsupported):
            ipc.messages(port, interface=server.url, since="all", reliable=True)
        with pytest.raises(ipc.InvalidOption):
            ipc.messages(port, interface=server.url, until_now=True)
        for wrong in ("first", -1, float("nan"), None, True):
            if wrong is not None:
                with pytest.raises(ipc.InvalidOption):
                    ipc.messages(port, interface=server.url, since=wrong)

    def test_what_no_stream_acknowledges(self, server: NatsServer, streams: NatsServer, port: int) -> None:
        with (
            ipc.open_channel(port, interface=streams.url) as channel,
            pytest.raises(ipc.SendFailed, match="no stream keeps"),
        ):
            ipc.run(channel.broadcast("x", acknowledged=True), timeout=PATIENCE)


def test_a_reliable_channel_over_nats(server: NatsServer, port: int) -> None:
    with (
        ipc.open_channel(port, interface=alone(server.url, "one"), reliable=True) as one,
        ipc.open_channel(port, interface=alone(server.url, "other"), reliable=True) as other,
    ):
        ipc.run(one.broadcast(bytes(3_000_000)))
        assert len(ipc.run(other.wait_for_message(timeout=PATIENCE)).data) == 3_000_000


def test_topics_over_nats(server: NatsServer, port: int) -> None:
    with (
        ipc.open_channel(port, interface=alone(server.url, "one")) as one,
        ipc.open_channel(port, interface=alone(server.url, "other")) as other,
    ):
        values: list[list[int]] = []
        other.topic("robot/pose", list[int]).stream.subscribe(values.append)
        ipc.run(one.topic("robot/pose", list[int]).publish([1, 2]))
        until(lambda: values)
        assert json.dumps(values) == "[[1, 2]]"
