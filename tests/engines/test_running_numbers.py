"""Numbers tell exactly what is missing, whoever begins, comes late or is forgotten."""

from __future__ import annotations

import gc
import threading
from typing import Any, cast

import msgspec
import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.channel_events import NetworkChange
from rx_multicast_ipc.channel_options import complete
from rx_multicast_ipc.message import Message
from rx_multicast_ipc.transport import Hears
from rx_multicast_ipc.transport.engine import channel_numbers, transport
from rx_multicast_ipc.transport.engine.arrival_queue import ArrivalQueue
from rx_multicast_ipc.transport.engine.channel_numbers import give_back, take_number
from rx_multicast_ipc.transport.engine.running_numbers import RunningNumbers
from rx_multicast_ipc.transport.latch import Latch

from .helpers import PATIENCE, until

ONE, OTHER = ("a" * 16, 1), ("b" * 16, 1)


def told(numbers: list[int], direct: bool = False) -> list[int | None]:
    kept = RunningNumbers()
    return [kept.missing_before(ONE, direct, number) for number in numbers]


def test_who_joins_late_has_lost_nothing() -> None:
    assert told([500, 501, 502]) == [0, 0, 0]


def test_each_gap_is_as_long_as_what_is_missing() -> None:
    assert told([1, 2, 5, 6, 100]) == [0, 0, 2, 0, 93]


def test_what_comes_late_or_twice_is_passed_over() -> None:
    assert told([1, 1, 2, 5, 3, 5, 6, 1]) == [0, None, 0, 2, None, None, 0, None]


def test_a_sender_that_forgot_an_address_begins_anew_with_it() -> None:
    assert told([1, 2, 3, 1, 2], direct=True) == [0, 0, 0, 0, 0]


def test_senders_and_what_they_send_to_one_are_counted_apart() -> None:
    kept = RunningNumbers()
    for sender in (ONE, OTHER):
        for direct in (False, True):
            assert [kept.missing_before(sender, direct, number) for number in (1, 2, 4)] == [0, 0, 1]


def test_a_number_that_is_used_again_goes_on_where_it_ended() -> None:
    owner = DeadEngine()
    number, first = take_number(owner)
    give_back(number, first + 7)
    again = following = 0
    while again != number:
        again, following = take_number(owner)
        give_back(again, following)
    assert (again, following) == (number, first + 7)


def test_a_full_queue_drops_the_newest_and_counts_them() -> None:
    queue = ArrivalQueue(3 * 256 + 30)
    messages = [Message(bytes([number]) * 10) for number in range(5)]
    assert queue.put(messages[:2]) == 0
    assert queue.put(messages[2:]) == 2
    taken: list[Message] = []
    queue.move_to(taken)
    assert (taken, queue.dropped) == (messages[:3], 2)
    assert queue.put([Message(bytes(10_000))]) == 0  # an empty one takes any


def test_statistics_say_nothing_of_losses_where_nothing_is_numbered() -> None:
    assert msgspec.structs.asdict(ipc.Statistics())["lost"] is None


class DeadEngine:
    """A connection over which nothing is sent: a test says what arrives."""

    url, session, payload_limit = "nats://nowhere:4222", "0123456789abcdef", 1 << 20

    def attach(self, end: object) -> None: ...

    def detach(self, end: object) -> None: ...


def test_the_number_of_an_end_whose_opening_was_interrupted_is_free_again() -> None:
    owner = DeadEngine()
    number, _ = take_number(owner)
    assert number in channel_numbers._owners  # pyright: ignore[reportPrivateUsage]
    del owner
    gc.collect()
    assert number not in channel_numbers._owners  # pyright: ignore[reportPrivateUsage]


def test_what_came_is_told_in_order_however_busy_the_thread_was() -> None:
    told: list[Any] = []
    done = Latch()
    connection: Any = DeadEngine()
    end = transport.EngineTransport(ipc.Group.of(), complete({}), Hears.ALL, connection)
    try:
        end.start(
            lambda batch: told.extend(each.data for each in batch), lambda _: None, lambda event: told.append(event)
        )

        def set_done(_scheduler: object, _state: object) -> None:
            done.set()

        def come() -> None:
            for number in (1, 2):
                end.arrive([Message(b"%d" % number, "fedcba9876543210", 1)], [number])
                end.tell_of(NetworkChange.DOWN if number == 1 else NetworkChange.UP)
            end.scheduler.schedule(set_done)

        end.call(come)
        assert done.wait(PATIENCE)
        assert told[:2] == [b"1", b"2"]
        assert [event.change for event in told[2:]] == [NetworkChange.DOWN, NetworkChange.UP]
    finally:
        end.close()


def test_what_came_while_a_subscriber_was_told_of_an_event_is_heard_before_the_next_one() -> None:
    told: list[Any] = []
    done = Latch()
    connection: Any = DeadEngine()
    end = transport.EngineTransport(ipc.Group.of(), complete({}), Hears.ALL, connection)

    def changed(event: Any) -> None:
        told.append(event.change)
        if event.change is NetworkChange.UP:
            end.arrive([Message(b"1", "fedcba9876543210", 1)], [1])
            end.tell_of(NetworkChange.DOWN)
        else:
            done.set()

    try:
        end.start(lambda batch: told.extend(each.data for each in batch), lambda _: None, changed)
        end.tell_of(NetworkChange.UP)
        assert done.wait(PATIENCE)
        assert told == [NetworkChange.UP, b"1", NetworkChange.DOWN]
    finally:
        end.close()


def test_in_a_forked_child_an_end_waits_for_no_send_of_its_parent() -> None:
    connection: Any = DeadEngine()
    end: Any = transport.EngineTransport(ipc.Group.of(), complete({}), Hears.ALL, connection)
    held, done = Latch(), Latch()

    def hold() -> None:
        end._outgoing.lock.acquire()
        held.set()

    def use() -> None:
        assert end.statistics.sent == 0
        with pytest.raises(ipc.ChannelClosed):
            end.send(b"x")
        end.close()
        done.set()

    threading.Thread(target=hold).start()
    assert held.wait(PATIENCE)
    end.forget()
    threading.Thread(target=use, daemon=True).start()
    assert done.wait(PATIENCE)


def test_losses_on_an_engine_are_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_LOSS_CHECK", 0.001)
    received: list[Any] = []
    ended: list[Any] = []
    end: Any = transport.EngineTransport(ipc.Group.of(), complete({}), Hears.ALL, cast("Any", DeadEngine()))
    try:
        end.start(received.append, ended.append)
        for number in (1, 5, 6, 9):
            end.arrive([Message(b"", "fedcba9876543210", 1)], [number])
            until(lambda number=number: end.statistics.received == (1, 5, 6, 9).index(number) + 1)
        until(lambda: "(5 in all" in caplog.text)
        assert end.statistics.lost == 5
    finally:
        end.close()
