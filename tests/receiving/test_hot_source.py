from __future__ import annotations

import threading
import time

import pytest
from reactivex import operators as ops
from reactivex.abc import DisposableBase

import rx_multicast_ipc as ipc
from rx_multicast_ipc.receiving.hot_source import HotSource

from ..helpers import PATIENCE, Seen, divide_by_zero, is_observed, nothing_left_behind, wait_until


@pytest.fixture
def source() -> HotSource[int]:
    return HotSource(lambda: None)


def test_a_subscriber_that_raises_is_detached_and_reported_once_and_the_others_see_all(
    channel: ipc.Channel, unhandled: list[BaseException]
) -> None:
    calls: list[ipc.Message] = []

    def bad(message: ipc.Message) -> None:
        calls.append(message)
        raise ValueError("bad subscriber")

    before, _, after = Seen(channel.messages), channel.messages.subscribe(bad), Seen(channel.messages)
    ipc.run(channel.broadcast_all(map(str, range(100))))
    assert before.wait_for_count(100) == after.wait_for_count(100)
    assert len(calls) == 1
    assert [str(error) for error in unhandled] == ["bad subscriber"]
    unhandled.clear()


def test_a_subscriber_that_raises_alone_is_detached_too(source: HotSource[int], unhandled: list[BaseException]) -> None:
    def bad(value: int) -> None:
        if value == 2:
            raise ZeroDivisionError

    source.subscribe(bad)
    source.emit([1, 2, 3])
    assert not source.observed
    assert [type(error) for error in unhandled] == [ZeroDivisionError]
    unhandled.clear()


def test_the_rest_of_a_chain_learns_why_it_ended(source: HotSource[int], unhandled: list[BaseException]) -> None:
    def bad(_: int) -> None:
        raise ValueError("bad")

    errors: list[Exception] = []
    source.pipe(ops.map(lambda value: value + 1)).subscribe(bad, errors.append)
    source.emit([1])
    assert [str(error) for error in errors] == ["bad"]
    unhandled.clear()


def test_a_hook_that_raises_hurts_nobody(source: HotSource[int], caplog: pytest.LogCaptureFixture) -> None:
    def hook(_: BaseException) -> None:
        raise RuntimeError("hook")

    previous = ipc.set_unhandled_error_hook(hook)
    source.subscribe(divide_by_zero)
    good = Seen(source)
    source.emit([1])
    ipc.set_unhandled_error_hook(previous)
    assert good.values == [1]
    assert "the unhandled-error hook raised" in caplog.text


def test_without_a_hook_the_error_is_logged_with_its_traceback(
    source: HotSource[int], caplog: pytest.LogCaptureFixture
) -> None:
    previous = ipc.set_unhandled_error_hook(None)
    source.subscribe(divide_by_zero)
    source.emit([1])
    ipc.set_unhandled_error_hook(previous)
    assert "ZeroDivisionError" in caplog.text


def test_a_raising_mapper_without_on_error_is_reported_and_detached(
    source: HotSource[int], unhandled: list[BaseException]
) -> None:
    source.pipe(ops.map(lambda value: 1 // value)).subscribe()
    source.emit([0, 1])
    assert [type(error) for error in unhandled] == [ZeroDivisionError]
    unhandled.clear()


def test_disposing_inside_on_next_stops_delivery_at_once(source: HotSource[int]) -> None:
    values: list[int] = []
    subscriptions: list[DisposableBase] = []

    def on_next(value: int) -> None:
        values.append(value)
        subscriptions[0].dispose()

    subscriptions.append(source.subscribe(on_next))
    source.emit([1, 2, 3])
    assert values == [1]


def test_disposing_of_another_inside_on_next_stops_it_before_its_turn(source: HotSource[int]) -> None:
    later: list[DisposableBase] = []
    source.subscribe(lambda _: later[0].dispose())
    seen = Seen(source)
    later.append(seen.subscription)
    source.emit([1, 2])
    assert seen.values == []


@pytest.mark.parametrize("others", [0, 1])
def test_subscribing_inside_on_next_takes_part_from_the_next_item_on(source: HotSource[int], others: int) -> None:
    for _ in range(others):
        source.subscribe()
    new: list[Seen[int]] = []
    source.pipe(ops.take(1)).subscribe(lambda _: new.append(Seen(source)))
    source.subscribe()
    source.emit([1, 2, 3])
    assert new[0].values == [2, 3]


def test_sending_inside_on_next_keeps_the_order_for_everyone(channel: ipc.Channel) -> None:
    echo = channel.messages.pipe(
        ops.filter(lambda m: len(m.text) < 20), ops.flat_map(lambda m: channel.broadcast(m.text + "x"))
    )
    first, _, last = Seen(channel.messages), Seen(echo), Seen(channel.messages)
    ipc.run(channel.broadcast(""))
    assert [m.text for m in first.wait_for_count(21)] == ["x" * length for length in range(21)]
    assert last.wait_for_count(21) == first.values


def test_ending_completes_everybody_once(source: HotSource[int]) -> None:
    seen = [Seen(source), Seen(source)]
    source.end()
    assert all(one.completed for one in seen)


def test_an_error_reaches_everybody_and_a_subscriber_without_on_error_hurts_nobody(source: HotSource[int]) -> None:
    source.subscribe()
    seen = Seen(source)
    fault = RuntimeError("fault")
    source.end(fault)
    assert seen.error is fault


def test_subscribing_and_disposing_from_many_threads_leaves_nothing_behind(channel: ipc.Channel) -> None:
    good = Seen(channel.messages)

    def work() -> None:
        for _ in range(125):
            channel.messages.pipe(ops.map(lambda m: m.text)).subscribe().dispose()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    ipc.run(channel.broadcast_all(map(str, range(200))))
    for thread in threads:
        thread.join()
    assert [m.text for m in good.wait_for_count(200)] == [str(number) for number in range(200)]
    good.subscription.dispose()
    assert not is_observed(channel.messages)


def test_opening_and_closing_from_many_threads_leaves_nothing_behind(port: int) -> None:
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(125):
                with ipc.open_channel(port, receive_buffer=4096) as channel:
                    ipc.run(channel.broadcast("x"))
        except BaseException as error:
            faults.append(error)

    with nothing_left_behind():
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []


@pytest.mark.parametrize("others", [0, 1, 3])
@pytest.mark.parametrize("place", ["first", "last"])
def test_who_disposes_mid_batch_gets_no_more_and_the_others_get_all(
    source: HotSource[int], others: int, place: str
) -> None:
    values: list[int] = []

    def on_next(value: int) -> None:
        values.append(value)
        if value == 5:
            subscription.dispose()

    seen = [Seen(source) for _ in range(others)] if place == "last" else []
    subscription = source.subscribe(on_next)
    seen += [Seen(source) for _ in range(others - len(seen))]
    source.emit(range(60))
    assert values == [0, 1, 2, 3, 4, 5]
    assert [one.values for one in seen] == [list(range(60))] * others


@pytest.mark.parametrize("others", [0, 1, 3])
@pytest.mark.parametrize("place", ["first", "last"])
def test_nothing_is_delivered_after_the_call_that_stops_it(source: HotSource[int], others: int, place: str) -> None:
    values: list[int] = []

    def on_next(value: int) -> None:
        values.append(value)
        if value == 5:
            source.stop()

    before = [Seen(source) for _ in range(others)] if place == "last" else []
    source.subscribe(on_next)
    after = [Seen(source) for _ in range(others - len(before))]
    source.emit(range(60))
    source.emit(range(60))
    assert values == [0, 1, 2, 3, 4, 5]
    assert [one.values for one in before] == [list(range(6))] * len(before)
    assert [one.values for one in after] == [list(range(5))] * len(after)


def test_who_is_subscribed_when_it_stops_is_told_of_the_end(source: HotSource[int]) -> None:
    seen = [Seen(source), Seen(source)]
    seen[0].subscription.dispose()
    source.stop()
    assert not source.observed
    source.end()
    assert [one.completed for one in seen] == [False, True]


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("stream", ["messages", "batches"])
def test_closing_from_another_thread_ends_a_batch_with_the_call_under_way(port: int, wait: bool, stream: str) -> None:
    busy, go_on = threading.Event(), threading.Event()
    values: list[object] = []
    ended = threading.Event()

    def on_next(value: object) -> None:
        values.append(value)
        busy.set()
        go_on.wait(PATIENCE)

    with ipc.open_channel(port) as channel, ipc.open_channel(port) as sender:
        getattr(channel, stream).subscribe(on_next, None, ended.set)
        ipc.run(sender.broadcast_all(["x"] * 64))
        assert busy.wait(PATIENCE)
        closing = threading.Thread(target=lambda: channel.close(wait=wait))
        closing.start()
        wait_until(lambda: channel.closed)
        go_on.set()
        assert ended.wait(PATIENCE)
        closing.join(PATIENCE)
    assert len(values) == 1


@pytest.mark.quiet_machine
def test_subscribing_and_disposing_cost_the_same_however_many_there_are(source: HotSource[int]) -> None:
    """A tuple rebuilt for each of 100 000 would copy five thousand million references."""
    began = time.process_time()
    subscriptions = [source.subscribe(lambda _: None) for _ in range(100_000)]
    source.emit([1])
    for subscription in subscriptions:
        subscription.dispose()
    source.emit([2])
    assert not source.observed
    assert time.process_time() - began < 10


@pytest.mark.quiet_machine
def test_who_ends_one_by_one_on_one_item_costs_the_others_nothing(source: HotSource[int]) -> None:
    began = time.process_time()
    seen: list[int] = []
    for _ in range(20_000):
        source.pipe(ops.take(1)).subscribe(seen.append)
    source.emit([1, 2, 3])
    assert seen == [1] * 20_000
    assert time.process_time() - began < 10
