"""An Observable of a state: what it is, at subscription, and then each change, in one order for all."""

from __future__ import annotations

from collections.abc import Callable

from reactivex.disposable import SerialDisposable

from rx_multicast_ipc import ChannelClosed
from rx_multicast_ipc.receiving.state_source import StateSource


class Owner:
    """A source, and what waits for its thread."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.waiting: list[Callable[[], None]] = []
        self.source: StateSource[int] = StateSource(lambda: self.refusal, self.waiting.append, "state")

    def turn(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


def test_who_subscribes_gets_what_holds_when_the_thread_comes_to_it_and_then_each_change() -> None:
    owner = Owner()
    early: list[int] = []
    late: list[int] = []
    owner.source.subscribe(early.append)
    owner.turn()
    owner.source.put(1)
    owner.source.subscribe(late.append)
    owner.source.put(2)
    owner.turn()
    owner.source.put(3)
    assert (early, late) == ([1, 2, 3], [2, 3])


def test_who_disposes_before_its_turn_gets_nothing() -> None:
    owner = Owner()
    seen: list[int] = []
    owner.source.put(1)
    owner.source.subscribe(seen.append).dispose()
    owner.turn()
    owner.source.put(2)
    assert seen == []


def test_who_disposes_at_its_first_value_gets_no_other() -> None:
    owner = Owner()
    seen: list[int] = []
    subscription = SerialDisposable()

    def once(value: int) -> None:
        seen.append(value)
        subscription.dispose()

    owner.source.put(1)
    subscription.disposable = owner.source.subscribe(once)
    owner.turn()
    owner.source.put(2)
    assert seen == [1]


def test_a_change_that_a_subscriber_makes_comes_after_the_one_it_was_told_of() -> None:
    owner = Owner()
    seen: list[int] = []
    owner.source.subscribe(lambda value: owner.source.put(value + 1) if value < 3 else None)
    owner.source.subscribe(seen.append)
    owner.turn()
    owner.source.put(1)
    assert seen == [1, 2, 3]


def test_who_raises_is_detached_and_reported_and_costs_the_others_nothing(unhandled: list[BaseException]) -> None:
    owner = Owner()
    seen: list[int] = []

    def fail(_: int) -> None:
        raise ZeroDivisionError

    owner.source.put(1)
    owner.source.subscribe(fail)
    owner.source.subscribe(seen.append)
    owner.turn()
    owner.source.put(2)
    assert seen == [1, 2]
    assert [type(error) for error in unhandled] == [ZeroDivisionError]
    unhandled.clear()


def test_after_stop_nothing_is_delivered_and_the_end_is_told() -> None:
    owner = Owner()
    told: list[object] = []
    owner.source.subscribe(told.append, told.append, lambda: told.append("completed"))
    owner.turn()
    owner.source.stop()
    owner.source.put(1)
    owner.source.end()
    assert told == ["completed"]


def test_who_comes_after_the_end_or_while_it_ends_is_told_why() -> None:
    owner = Owner()
    errors: list[Exception] = []
    owner.source.stop()
    owner.source.subscribe(on_error=errors.append)
    owner.source.end()
    owner.turn()
    owner.source.subscribe(on_error=errors.append)
    owner.refusal = ZeroDivisionError()
    owner.source.subscribe(on_error=errors.append)
    assert [type(error) for error in errors] == [ChannelClosed, ChannelClosed, ZeroDivisionError]


def test_retries_without_number_end() -> None:
    from reactivex import operators as ops

    owner = Owner()
    owner.source.end()
    told: list[str] = []
    owner.source.pipe(ops.retry()).subscribe(on_completed=lambda: told.append("completed"))
    assert told == ["completed"]


def test_who_subscribed_before_the_end_completes_though_the_thread_comes_later() -> None:
    owner = Owner()
    seen: list[object] = []
    owner.source.put(1)
    owner.source.subscribe(seen.append, seen.append, lambda: seen.append("end"))
    owner.refusal = ChannelClosed()
    owner.source.end()
    owner.turn()
    assert seen == ["end"]
