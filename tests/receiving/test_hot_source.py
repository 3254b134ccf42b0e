from __future__ import annotations

import threading

import pytest
from reactivex import operators as ops
from reactivex.abc import DisposableBase

import rx_multicast_ipc as ipc
from rx_multicast_ipc.receiving.hot_source import HotSource

from ..helpers import Seen, divide_by_zero, is_observed, nothing_left_behind


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
