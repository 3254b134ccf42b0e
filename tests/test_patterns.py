"""Questions to all and answers to each: ``request_all`` and ``respond``; an end as one pair; ``async for``."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler
from reactivex.testing import TestScheduler

from rx_multicast_ipc.testing import VirtualNetwork

from .helpers import PATIENCE, Seen, divide_by_zero, ipc, is_observed, raw_sender, read_all, run


@pytest.fixture
def network() -> VirtualNetwork:
    return VirtualNetwork(TestScheduler(), latency=0.1)


@pytest.fixture
def peer(port: int, channel: ipc.Channel) -> Iterator[ipc.Channel]:
    with ipc.open_channel(port) as peer:
        yield peer


def is_question(message: ipc.Message) -> bool:
    return message.text == "who?"


def answers(what: Any) -> Callable[[ipc.Message], Any]:
    return lambda _: what


def sleeps(message: ipc.Message) -> Any:
    return sleep(message)


async def sleep(_: ipc.Message) -> str:
    await asyncio.sleep(0)
    return "me"


def throw_away(make: Callable[[], object]) -> None:
    make()
    gc.collect()


class TestRequestAll:
    def test_every_answer_until_the_time_is_up_and_then_the_end(self, network: VirtualNetwork) -> None:
        asking, *others = (network.open_channel() for _ in range(4))
        for number, other in enumerate(others):
            other.respond(is_question, answers(f"answer {number}")).subscribe()
        seen = Seen(asking.request_all("who?", lambda m: m.direct, timeout=1))
        network.scheduler.advance_by(0.9)
        assert sorted(m.text for m in seen.values) == ["answer 0", "answer 1", "answer 2"]
        assert not seen.completed
        network.scheduler.advance_by(0.2)
        assert seen.completed

    def test_without_an_answer_it_is_an_empty_list_and_no_error(self, network: VirtualNetwork) -> None:
        asking = network.open_channel()
        seen = Seen(asking.request_all("who?", lambda m: True, timeout=1).pipe(ops.to_list()))
        network.scheduler.advance_by(2)
        assert seen.values == [[]]

    def test_what_comes_late_or_does_not_match_is_left_to_the_waits(self, network: VirtualNetwork) -> None:
        asking, other = network.open_channel(), network.open_channel()
        seen = Seen(asking.request_all("who?", lambda m: m.text.startswith("answer"), timeout=1))
        for text, pause in {"noise": 0.1, "answer": 0.8, "answer, late": 2.0}.items():
            other.broadcast(text).subscribe()
            network.scheduler.advance_by(pause)
        assert [m.text for m in seen.values] == ["answer"]
        for text in ("noise", "answer, late"):
            waited = Seen(asking.wait_for_message(lambda m: m.sender == other.sender_address))
            network.scheduler.advance_by(1)
            assert [m.text for m in waited.values] == [text]

    def test_it_asks_at_every_subscription_over_udp(self, channel: ipc.Channel, peer: ipc.Channel) -> None:
        with peer.respond(is_question, answers("me")).subscribe():
            asking = channel.request_all("who?", lambda m: m.direct, timeout=PATIENCE).pipe(ops.take(1), ops.to_list())
            for _ in range(2):
                assert [m.text for m in run(asking)] == ["me"]

    def test_who_asks_at_the_same_time_hears_every_answer_too(self, network: VirtualNetwork) -> None:
        asking, other = network.open_channel(), network.open_channel()
        all_of_them = [Seen(asking.request_all("who?", lambda m: m.text == "me", timeout=1)) for _ in range(2)]
        one = Seen(asking.request("who?", lambda m: m.text == "me"))
        for _ in range(2):
            other.broadcast("me").subscribe()
        network.scheduler.advance_by(2)
        assert [len(seen.values) for seen in (*all_of_them, one)] == [2, 2, 1]

    def test_it_can_be_awaited_and_answered_on_a_loop(self, port: int) -> None:
        async def main() -> list[str]:
            async with ipc.open_channel(port) as asking, ipc.open_channel(port) as other:
                loop = AsyncIOScheduler(asyncio.get_running_loop())
                other.respond(is_question, answers("me")).subscribe(scheduler=loop)
                everybody = asking.request_all("who?", lambda m: m.direct, timeout=PATIENCE)
                return [m.text for m in await everybody.pipe(ops.take(1), ops.to_list())]

        assert asyncio.run(main(), debug=True) == ["me"]

    def test_its_own_question_is_no_answer(self, network: VirtualNetwork) -> None:
        asking = network.open_channel()
        seen = Seen(asking.request_all("who?", lambda m: True, timeout=1))
        network.scheduler.advance_by(2)
        assert (seen.values, seen.completed) == ([], True)

    def test_disposing_stops_it(self, network: VirtualNetwork) -> None:
        asking, other = network.open_channel(), network.open_channel()
        seen = Seen(asking.request_all("who?", lambda m: True, timeout=10))
        network.scheduler.advance_by(1)
        seen.subscription.dispose()
        other.broadcast("answer").subscribe()
        network.scheduler.advance_by(20)
        assert (seen.values, seen.completed) == ([], False)

    def test_closing_ends_it(self, network: VirtualNetwork) -> None:
        asking = network.open_channel()
        seen = Seen(asking.request_all("who?", lambda m: True, timeout=10))
        network.scheduler.advance_by(1)
        asking.close()
        network.scheduler.advance_by(1)
        assert isinstance(seen.error, ipc.ChannelClosed)

    def test_a_subscriber_or_predicate_that_raises_ends_only_itself(
        self, network: VirtualNetwork, unhandled: list[BaseException]
    ) -> None:
        asking, other = network.open_channel(), network.open_channel()
        asking.request_all("a?", lambda m: m.text == "answer", timeout=5).subscribe(divide_by_zero)
        bad = Seen(asking.request_all("b?", lambda m: m.data[100], timeout=5))
        good = Seen(asking.request_all("c?", lambda m: m.text == "answer", timeout=5))
        for _ in range(3):
            other.broadcast("answer").subscribe()
            network.scheduler.advance_by(0.5)
        assert isinstance(bad.error, IndexError)
        assert len(good.values) == 3
        assert [type(error) for error in unhandled] == [ZeroDivisionError]
        unhandled.clear()

    def test_mistakes_are_told_at_once(self, channel: ipc.Channel) -> None:
        with pytest.raises(ipc.InvalidOption, match="seconds"):
            channel.request_all("who?", lambda m: True, timeout=-1)
        with pytest.raises(ipc.InvalidPayload):
            channel.request_all(5, lambda m: True, timeout=1)  # pyright: ignore[reportArgumentType]
        channel.close()
        with pytest.raises(ipc.ChannelClosed):
            channel.request_all("who?", lambda m: True, timeout=1)

    def test_thrown_away_it_warns(self, channel: ipc.Channel) -> None:
        with pytest.warns(ipc.NeverSubscribedWarning, match="who"):
            throw_away(lambda: channel.request_all("who?", lambda m: True, timeout=1))


class TestRespond:
    def test_it_answers_the_asker_alone_and_emits_the_question(self, channel: ipc.Channel, peer: ipc.Channel) -> None:
        with ipc.open_channel(channel.group.port) as bystander:
            overheard = Seen(bystander.messages.pipe(ops.filter(lambda m: m.direct)))
            answered = Seen(channel.respond(is_question, lambda m: f"not {m.text}"))
            answer = run(peer.request("who?", lambda m: m.direct))
            assert (answer.text, answer.sender) == ("not who?", channel.sender_address)
            assert [m.sender for m in answered.wait_for_count(1)] == [peer.sender_address]
            read_all(bystander, peer)
            assert [m.text for m in overheard.values] == ["end"]

    def test_a_handler_that_raises_is_reported_and_the_next_is_answered(
        self, channel: ipc.Channel, peer: ipc.Channel, unhandled: list[BaseException]
    ) -> None:
        answered = Seen(channel.respond(lambda m: m.text.isdigit() or m.data[5], lambda m: str(10 // int(m.text))))
        for question in ("0", "x", "5"):
            run(peer.broadcast(question))
        assert [m.text for m in answered.wait_for_count(1)] == ["5"]
        assert [type(error) for error in unhandled] == [ZeroDivisionError, IndexError]
        assert all("got no answer" in note for error in unhandled for note in error.__notes__)
        unhandled.clear()

    @pytest.mark.parametrize(
        ("handler", "advice"),
        [(answers(None), "bytes-like"), (answers(5), "bytes-like"), (sleeps, "map_async")],
    )
    def test_what_is_no_answer_is_reported_with_advice(
        self,
        handler: Callable[[ipc.Message], Any],
        advice: str,
        network: VirtualNetwork,
        unhandled: list[BaseException],
    ) -> None:
        answering, asking = network.open_channel(), network.open_channel()
        answering.respond(is_question, handler).subscribe()
        asking.broadcast("who?").subscribe()
        network.scheduler.advance_by(1)
        (error,) = unhandled
        assert advice in str(error)
        unhandled.clear()

    def test_its_own_messages_are_not_answered(self, network: VirtualNetwork) -> None:
        channel = network.open_channel()
        answered = Seen(channel.respond(lambda m: True, answers("me")))
        channel.broadcast("who?").subscribe()
        network.scheduler.advance_by(1)
        assert answered.values == []

    def test_a_subscriber_that_raises_is_detached_and_reported(
        self, network: VirtualNetwork, unhandled: list[BaseException]
    ) -> None:
        answering, asking = network.open_channel(), network.open_channel()
        answering.respond(is_question, answers("me")).subscribe(divide_by_zero)
        for _ in range(2):
            asking.broadcast("who?").subscribe()
            network.scheduler.advance_by(1)
        assert [type(error) for error in unhandled] == [ZeroDivisionError]
        assert not is_observed(answering.messages)
        unhandled.clear()

    def test_it_answers_while_subscribed(self, network: VirtualNetwork) -> None:
        answering, asking = network.open_channel(), network.open_channel()
        subscription = answering.respond(is_question, answers("me")).subscribe()
        heard = Seen(asking.messages.pipe(ops.filter(lambda m: m.direct)))
        for _ in range(2):
            asking.broadcast("who?").subscribe()
            network.scheduler.advance_by(1)
            subscription.dispose()
        assert len(heard.values) == 1
        assert not is_observed(answering.messages)

    def test_it_ends_with_the_channel(self, channel: ipc.Channel) -> None:
        answered = Seen(channel.respond(is_question, answers("me")))
        channel.close()
        assert answered.wait_for_end().completed
        with pytest.raises(ipc.ChannelClosed):
            channel.respond(is_question, answers("me"))

    def test_mistakes_are_told_at_once(self, channel: ipc.Channel) -> None:
        with pytest.raises(ipc.InvalidOption, match="predicate"):
            channel.respond("who?", answers("me"))  # pyright: ignore[reportArgumentType]
        with pytest.raises(ipc.InvalidOption, match="handler"):
            channel.respond(is_question, "me")  # pyright: ignore[reportArgumentType]

    def test_thrown_away_it_warns(self, channel: ipc.Channel) -> None:
        with pytest.warns(ipc.NeverSubscribedWarning, match="respond"):
            throw_away(lambda: channel.respond(is_question, answers("me")))


class TestOneEnd:
    def test_a_sender_is_where_a_send_goes(self, channel: ipc.Channel, peer: ipc.Channel, port: int) -> None:
        heard = Seen(channel.messages.pipe(ops.filter(lambda m: m.direct)))
        address, own_port = channel.sender_address
        run(peer.send("pair", channel.sender_address))
        run(peer.send("apart", own_port, address))
        run(peer.send("by name", port=own_port, address=address))
        run(ipc.send("root", channel.sender_address, group_port=port))
        run(ipc.send("root apart", own_port, address, group_port=port))
        texts = [m.text for m in heard.wait_for_count(5)]
        assert texts == ["pair", "apart", "by name", "root", "root apart"]

    @pytest.mark.parametrize(
        ("end", "error", "advice"),
        [
            ((61088,), ipc.InvalidAddress, "message.sender"),
            (("127.0.0.1", 61088), ipc.InvalidPort, "before the address"),
            ((("127.0.0.1", 61088), "127.0.0.1"), ipc.InvalidAddress, "one address"),
            ((("127.0.0.1", 61088, 0),), ipc.InvalidAddress, "one address"),
            (((61088, "127.0.0.1"),), ipc.InvalidPort, "before the address"),
            ((("127.0.0.1", 0),), ipc.InvalidPort, "1 to 65535"),
            (((5, 5),), ipc.InvalidAddress, "numeric address"),
        ],
    )
    @pytest.mark.parametrize("send", [ipc.send, None], ids=["of the package", "of a channel"])
    def test_what_is_no_end_is_refused_with_advice(
        self, send: Any, end: tuple[Any, ...], error: type[Exception], advice: str, channel: ipc.Channel
    ) -> None:
        with pytest.raises(error, match=advice):
            (send or channel.send)("x", *end)


class TestCoroutineFunctions:
    def test_one_as_a_subscriber_is_refused_with_what_to_use(self, channel: ipc.Channel, port: int) -> None:
        class Callable:
            async def __call__(self, _: object) -> None: ...

        hot = (channel.messages, channel.batches, channel.topics(), channel.topic("a", int).stream, ipc.messages(port))
        streams: list[Any] = list(hot)
        for stream in streams:
            for subscriber in (sleep, Callable()):
                with pytest.raises(ipc.InvalidOption, match="map_async"):
                    stream.subscribe(subscriber)


class TestAsyncFor:
    def test_a_channels_streams_can_be_iterated(self, port: int) -> None:
        async def main() -> None:
            async with ipc.open_channel(port) as channel:
                numbers = channel.topic("number", int)
                streams: list[Any] = [channel.messages, channel.batches, channel.topics()]
                for stream in (*streams, numbers.stream, numbers.received):
                    iterator = aiter(stream)
                    await numbers.publish(5)
                    assert await anext(iterator)

        asyncio.run(asyncio.wait_for(main(), PATIENCE), debug=True)

    def test_the_loop_ends_with_the_channel(self, port: int) -> None:
        async def main() -> None:
            channel = ipc.open_channel(port)
            heard: list[str] = []
            asyncio.get_running_loop().call_later(0, lambda: channel.broadcast("one").subscribe())
            async for message in channel.messages:
                heard.append(message.text)
                channel.close()
            assert heard == ["one"]

        asyncio.run(asyncio.wait_for(main(), PATIENCE), debug=True)

    def test_a_loop_that_is_left_lets_go(self, port: int) -> None:
        async def main() -> None:
            async with ipc.open_channel(port) as channel:
                asyncio.get_running_loop().call_later(0, lambda: channel.broadcast("one").subscribe())
                async for _ in channel.messages:
                    break
                gc.collect()
                while is_observed(channel.messages):  # noqa: ASYNC110
                    await asyncio.sleep(0)

        asyncio.run(asyncio.wait_for(main(), PATIENCE), debug=True)

    def test_the_shared_messages_can_be_iterated(self, port: int) -> None:
        async def main() -> None:
            with raw_sender() as sender:
                loop = asyncio.get_running_loop()
                loop.call_later(0, sender.sendto, b"hello", (ipc.DEFAULT_GROUP, port))
                async for message in ipc.messages(port):
                    assert message.text == "hello"
                    break

        asyncio.run(asyncio.wait_for(main(), PATIENCE), debug=True)
