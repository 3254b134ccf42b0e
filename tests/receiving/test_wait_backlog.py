from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.receiving.wait_backlog import Backlog
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork
from rx_multicast_ipc.testing.held_channel import held

from ..helpers import PATIENCE, Seen, divide_by_zero, raw_sender, read_all, run, wait_until


def test_a_loop_of_waits_sees_a_flood_whole_and_in_order(port: int) -> None:
    with ipc.open_channel(port, backlog=4096) as channel, raw_sender() as sender:
        for number in range(2000):
            sender.sendto(b"%d" % number, ("224.0.2.1", port))
        waits = channel.wait_for_message(timeout=PATIENCE).pipe(ops.repeat(2000), ops.to_list())
        assert [int(message.data) for message in ipc.run(waits)] == list(range(2000))


def test_the_first_wait_starts_where_the_channel_opened(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("early"))
    wait_until(lambda: channel.statistics.received == 1)
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == "early"


def test_each_wait_starts_where_the_one_before_ended(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast_all(["skip", "a", "b", "c"]))
    assert ipc.run(channel.wait_for_message(lambda m: m.text == "a", timeout=PATIENCE)).text == "a"
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == "b"
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == "c"


def test_what_a_predicate_passed_over_is_gone(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast_all(["a", "b"]))
    ipc.run(channel.wait_for_message(lambda m: m.text == "b", timeout=PATIENCE))
    with pytest.raises(ipc.MessageTimeout):
        ipc.run(channel.wait_for_message(lambda m: m.text == "a", timeout=0.05))


def test_any_true_value_of_a_predicate_takes_the_message(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("truthy"))
    assert ipc.run(channel.wait_for_message(lambda m: m.text, timeout=PATIENCE)).text == "truthy"


def test_waits_that_overlap_see_the_same_message(channel: ipc.Channel) -> None:
    first, second = Seen(channel.wait_for_message()), Seen(channel.wait_for_message())
    ipc.run(channel.broadcast("both"))
    assert first.wait_for_end().values == second.wait_for_end().values


@pytest.mark.parametrize(("predicate", "reported"), [(divide_by_zero, []), (sys.exit, [SystemExit])])
def test_a_predicate_that_raises_ends_its_own_wait_only(
    channel: ipc.Channel, unhandled: list[BaseException], predicate: Callable[[object], object], reported: list[type]
) -> None:
    bad, other = Seen(channel.wait_for_message(predicate)), Seen(channel.wait_for_message())
    ipc.run(channel.broadcast("x"))
    assert other.wait_for_end().values[0].text == "x"
    assert bad.wait_for_end().error
    assert [type(error) for error in unhandled] == reported
    unhandled.clear()


def test_a_wait_that_times_out_says_how_long_it_waited(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.MessageTimeout, match=r"within 0\.05 s") as raised:
        ipc.run(channel.wait_for_message(timeout=0.05))
    assert raised.value.seconds == 0.05
    assert isinstance(raised.value, TimeoutError)


def test_a_timeout_of_zero_takes_what_is_there_already(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("there"))
    wait_until(lambda: channel.statistics.received == 1)
    assert ipc.run(channel.wait_for_message(timeout=0)).text == "there"
    with pytest.raises(ipc.MessageTimeout):
        ipc.run(channel.wait_for_message(timeout=0))


def test_a_wait_that_ended_leaves_nothing_behind(channel: ipc.Channel) -> None:
    for _ in range(50):
        with pytest.raises(ipc.MessageTimeout):
            ipc.run(channel.wait_for_message(timeout=0))
    ipc.run(channel.broadcast("x"))
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == "x"


def test_a_message_is_not_lost_to_a_wait_that_was_disposed_of(channel: ipc.Channel) -> None:
    Seen(channel.wait_for_message()).subscription.dispose()
    ipc.run(channel.broadcast("kept"))
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == "kept"


def test_closing_the_channel_ends_a_pending_wait(channel: ipc.Channel) -> None:
    pending = Seen(channel.wait_for_message())
    channel.close()
    assert isinstance(pending.wait_for_end().error, ipc.ChannelClosed)


def test_messages_lost_between_two_waits_are_reported(
    channel: ipc.Channel, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with ipc.open_channel(port, backlog=10) as small:
        ipc.run(channel.broadcast_all(str(number) for number in range(15)))
        wait_until(lambda: small.statistics.received == 15)
        with caplog.at_level(logging.WARNING, "rx_multicast_ipc"):
            assert ipc.run(small.wait_for_message(timeout=PATIENCE)).text == "5"
    assert "5 messages were lost" in caplog.text


def test_a_request_hears_an_answer_however_fast_it_comes(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port) as service:
        answers = service.messages.pipe(
            ops.filter(lambda m: m.data == b"ping"), ops.flat_map(lambda m: service.reply(m, "pong"))
        )
        Seen(answers)
        for _ in range(200):
            assert ipc.run(channel.request("ping", lambda m: m.data == b"pong", timeout=PATIENCE)).direct


def test_a_request_never_takes_the_channels_own_message_for_an_answer(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.MessageTimeout, match="answer"):
        ipc.run(channel.request("anybody?", lambda m: True, timeout=0.1))


def test_a_request_leaves_what_is_no_answer_to_the_waits(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port) as other:
        asked = Seen(channel.request("?", lambda m: m.text == "answer"))
        ipc.run(other.broadcast_all(["news", "answer", "more news"]))
        assert asked.wait_for_end().values[0].text == "answer"
        heard = channel.wait_for_message(lambda m: m.text != "?", timeout=PATIENCE).pipe(ops.repeat(2), ops.to_list())
        assert [message.text for message in ipc.run(heard)] == ["news", "more news"]


def test_retry_asks_again(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port) as deaf_at_first:
        answers = deaf_at_first.messages.pipe(
            ops.filter(lambda m: m.text == "?"), ops.skip(2), ops.flat_map(lambda m: deaf_at_first.reply(m, "!"))
        )
        Seen(answers)
        asked = channel.request("?", lambda m: m.text == "!", timeout=0.2).pipe(ops.retry(300))
        assert ipc.run(asked).text == "!"


def test_waits_end_on_the_delivering_thread(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("x"))
    wait_until(lambda: channel.statistics.received == 1)
    threads: list[str] = []
    ipc.run(channel.wait_for_message().pipe(ops.do_action(lambda _: threads.append(threading.current_thread().name))))
    assert threads == [f"rx_multicast_ipc {channel.group}"]


@pytest.mark.parametrize("timeout", [-1, "5", True, float("nan")])
def test_a_timeout_that_is_no_number_of_seconds_is_refused_at_once(channel: ipc.Channel, timeout: float) -> None:
    with pytest.raises(ipc.InvalidOption, match="seconds"):
        channel.wait_for_message(timeout=timeout)


def waits_of(channel: ipc.Channel) -> int:
    """Waits and requests that the channel keeps."""
    backlog: Any = channel._inbox.backlog  # pyright: ignore[reportPrivateUsage]
    return len(backlog._waits) + len(backlog._claims)


def kinds_of_wait(channel: ipc.Channel) -> list[rx.Observable[ipc.Message]]:
    return [channel.wait_for_message(lambda m: False, timeout=60), channel.request("?", lambda m: False, timeout=60)]


def test_what_is_disposed_of_is_let_go_of_at_once(channel: ipc.Channel) -> None:
    for waiting in kinds_of_wait(channel):
        subscription = waiting.subscribe()
        wait_until(lambda: waits_of(channel) == 1)
        subscription.dispose()
        assert waits_of(channel) == 0
        timers: Any = channel.scheduler
        assert (timers.until_next() or 0) < 10  # the wait's would be due in 60 s


def test_a_wait_that_is_disposed_of_before_it_begins_never_does(channel: ipc.Channel) -> None:
    for waiting in kinds_of_wait(channel) * 50:
        waiting.subscribe().dispose()
    ipc.run(channel.broadcast("x"))
    read_all(channel, channel)
    assert waits_of(channel) == 0


def test_closing_tells_all_who_wait_with_an_error_of_their_own_each(
    channel: ipc.Channel, unhandled: list[BaseException]
) -> None:
    pending = [Seen(waiting) for waiting in kinds_of_wait(channel) * 3]
    for waiting in kinds_of_wait(channel):
        waiting.subscribe(on_error=divide_by_zero)
    pending += [Seen(waiting) for waiting in kinds_of_wait(channel)]
    channel.close()
    errors = [one.wait_for_end().error for one in pending]
    assert {type(error) for error in errors} == {ipc.ChannelClosed}
    assert len({id(error) for error in errors}) == len(errors)
    assert [type(error) for error in unhandled] == [ZeroDivisionError] * 2
    unhandled.clear()


def test_an_error_that_is_raised_again_and_again_does_not_grow(channel: ipc.Channel) -> None:
    waiting = channel.wait_for_message()
    channel.close()
    lengths: set[int] = set()
    for _ in range(50):
        with pytest.raises(ipc.ChannelClosed) as raised:
            ipc.run(waiting)
        lengths.add(len(raised.traceback))
    assert len(lengths) == 1


def test_nothing_of_a_batch_is_offered_once_another_thread_closed() -> None:
    def call(action: Callable[[], None]) -> None:
        action()

    transport: Any = SimpleNamespace(closed=False, payload_limit=65_507, scheduler=VirtualClock(), call=call)
    backlog = Backlog(transport, 10)
    offered: list[bytes] = []

    def offer(message: ipc.Message) -> bool:
        offered.append(message.data)
        transport.closed = True  # its end comes after the batch
        return False

    backlog.wait(offer, None).subscribe()
    backlog.put([ipc.Message(b"1"), ipc.Message(b"2")])
    backlog.put([ipc.Message(b"3")])
    assert offered == [b"1"]


@pytest.mark.quiet_machine
def test_thousands_of_waits_begin_and_end_in_the_time_of_as_many_few(channel: ipc.Channel) -> None:
    """Lists rebuilt for each of 20 000 would copy four hundred million references."""
    began = time.process_time()
    pending = [waiting.subscribe() for waiting in [channel.wait_for_message(lambda m: False)] * 20_000]
    wait_until(lambda: waits_of(channel) == 20_000)
    for subscription in pending:
        subscription.dispose()
    assert waits_of(channel) == 0
    assert time.process_time() - began < 15


def test_a_backlog_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rx_multicast_ipc.receiving.wait_backlog.QUEUE_BYTES", 1000)
    network = VirtualNetwork(VirtualClock())
    channel = network.open_channel(backlog=100)
    ipc.run(channel.broadcast_all([bytes(300)] * 5))
    network.scheduler.start()
    assert len(channel._inbox.backlog._messages) == 3  # pyright: ignore[reportPrivateUsage]


def test_what_waits_missed_is_counted(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port, backlog=10) as small:
        ipc.run(channel.broadcast_all(str(number) for number in range(15)))
        wait_until(lambda: small.statistics.received == 15)
        assert small.statistics.discarded == 0  # nobody waited
        for _ in range(2):
            ipc.run(small.wait_for_message(timeout=PATIENCE))
            assert small.statistics.discarded == 5


def test_each_message_ends_one_of_the_waits_of_many_threads(channel: ipc.Channel) -> None:
    threads, each = 4, 300
    taken: list[list[int]] = [[] for _ in range(threads)]

    def take(mine: list[int]) -> None:
        mine.extend(int(run(channel.wait_for_message()).data) for _ in range(each))

    def pass_over(mine: list[int]) -> None:  # on the I/O thread, by the side of those
        mine.extend(int(run(channel.wait_for_message(lambda _: True)).data) for _ in range(each))

    running = [
        threading.Thread(target=pass_over if number == 3 else take, args=(taken[number],), daemon=True)
        for number in range(threads)
    ]
    for thread in running:
        thread.start()
    for number in range(threads * each + 100):  # for waits that overlap take the same ones
        run(channel.broadcast(b"%d" % number))
    numbers = count(threads * each + 100)
    wait_until(
        lambda: run(channel.broadcast(b"%d" % next(numbers))) or not any(map(threading.Thread.is_alive, running))
    )
    for mine in taken:
        assert mine == sorted(set(mine)), "each in order, and once"


def test_who_blocks_does_not_overtake_a_wait_that_was_subscribed_before(channel: ipc.Channel) -> None:
    run(channel.broadcast_all([b"1", b"2"]))
    wait_until(lambda: channel.statistics.received == 2)
    second: list[bytes] = []
    blocking = threading.Thread(target=lambda: second.append(run(channel.wait_for_message()).data))
    with held(channel):
        first = Seen(channel.wait_for_message())
        blocking.start()
    blocking.join(PATIENCE)
    assert ([message.data for message in first.wait_for_end().values], second) == ([b"1"], [b"2"])


def test_a_loop_of_awaited_waits_lets_the_event_loop_turn(channel: ipc.Channel) -> None:
    run(channel.broadcast_all([b"x"] * 50))
    wait_until(lambda: channel.statistics.received == 50)

    async def main() -> int:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(turn())
        for _ in range(50):
            await channel.wait_for_message(timeout=PATIENCE)
        other.cancel()
        return turns

    assert asyncio.run(main()) >= 49


def test_a_cancelled_wait_leaves_what_is_there_to_the_next(channel: ipc.Channel) -> None:
    run(channel.broadcast(b"here"))
    wait_until(lambda: channel.statistics.received == 1)

    async def main() -> None:
        async def wait() -> ipc.Message:
            return await channel.wait_for_message()

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())
    assert run(channel.wait_for_message(timeout=PATIENCE)).data == b"here"


def test_what_is_sent_or_taken_at_once_counts_as_subscribed(channel: ipc.Channel) -> None:
    gc.collect()  # what other tests left
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ipc.NeverSubscribedWarning)
        run(channel.broadcast(b"one"))
        asyncio.run(_await(channel.broadcast(b"two")))
        gc.collect()
    assert [each for each in told if each.category is ipc.NeverSubscribedWarning] == []
    assert [run(channel.wait_for_message(timeout=PATIENCE)).data for _ in range(2)] == [b"one", b"two"]


async def _await(observable: Observable[None]) -> None:
    await observable
