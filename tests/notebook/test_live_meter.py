from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc import Message
from rx_multicast_ipc.notebook.live_meter import MOST_LOOKED_AT, MOST_ROWS, ROWS_IN_A_FLOOD, Meter, Value

ANN, BOB = ("127.0.0.1", 1), ("127.0.0.1", 2)


def said(data: bytes, sender: tuple[str, int] = ANN) -> Message:
    return Message(data, *sender)


def test_a_reading_counts_each_sender_since_the_one_before() -> None:
    meter = Meter(lambda: 7.0)
    meter.add_all([said(b"one"), said(b"three", BOB)])
    meter.read()
    meter.add_all([said(b"a"), said(b"bc"), said(b"d", BOB)])
    reading = meter.read()
    assert (reading.at, reading.total, reading.came) == (7.0, 5, 3)
    assert reading.senders == {ANN: (2, 3), BOB: (1, 1)}
    assert reading.last == [said(b"a"), said(b"bc"), said(b"d", BOB)]


def test_a_quiet_time_reads_as_nothing() -> None:
    meter = Meter()
    meter.add(said(b"x"))
    meter.read()
    reading = meter.read()
    assert (reading.total, reading.came, reading.senders, reading.last) == (1, 0, {}, [])


def test_plain_values_get_a_time_and_are_counted_by_their_type() -> None:
    meter = Meter(lambda: 7.0)
    for value in ({"a": 1}, {}, 5, None):
        meter.add(value)
    reading = meter.read()
    assert reading.last[2] == Value(5, 7.0)
    assert reading.senders == {"dict": (2, 0), "int": (1, 0), "NoneType": (1, 0)}


@given(st.lists(st.integers(0, 3 * MOST_ROWS), max_size=6))
def test_the_total_is_exact_and_the_rows_are_bounded(sizes: list[int]) -> None:
    meter = Meter()
    sent = [said(str(number).encode()) for number in range(sum(sizes))]
    start = 0
    for size in sizes:
        meter.add_all(sent[start : start + size])
        start += size
    reading = meter.read()
    assert (reading.total, reading.came) == (len(sent), len(sent))
    assert reading.last == sent[-MOST_ROWS:]


def test_beyond_what_is_looked_at_only_the_number_is_counted() -> None:
    meter = Meter()
    meter.add_all([said(b"x")] * (MOST_LOOKED_AT - 1))
    meter.add_all([said(b"x")] * MOST_LOOKED_AT)
    reading = meter.read()
    assert (reading.came, reading.looked_at) == (2 * MOST_LOOKED_AT - 1, MOST_LOOKED_AT)
    assert reading.senders == {ANN: (MOST_LOOKED_AT, MOST_LOOKED_AT)}
    assert (reading.total_bytes, reading.estimated) == (2 * MOST_LOOKED_AT - 1, True)
    meter.add(said(b"xyz"))
    reading = meter.read()
    assert (reading.looked_at, reading.total_bytes, reading.estimated) == (1, 2 * MOST_LOOKED_AT + 2, True)


@pytest.mark.parametrize("one_by_one", [True, False])
def test_of_a_flood_the_newest_are_kept_and_the_next_reading_has_all_again(one_by_one: bool) -> None:
    meter = Meter()

    def deliver(messages: list[Message]) -> None:
        if one_by_one:
            for message in messages:
                meter.add(message)
        else:
            for start in range(0, len(messages), 44):
                meter.add_all(messages[start : start + 44])

    flood = [said(str(number).encode()) for number in range(MOST_LOOKED_AT * 2 + 17)]
    deliver(flood)
    assert meter.total == len(flood)
    last = meter.recent().last
    assert last == flood[-len(last) :]
    reading = meter.read()
    assert (reading.total, reading.came, reading.looked_at) == (len(flood), len(flood), MOST_LOOKED_AT)
    assert ROWS_IN_A_FLOOD <= len(reading.last) <= MOST_ROWS
    assert reading.last == flood[-len(reading.last) :]
    deliver(flood[: MOST_ROWS + 9])
    reading = meter.read()
    assert (reading.came, reading.last) == (MOST_ROWS + 9, flood[9 : MOST_ROWS + 9])


def test_what_is_recent_can_be_read_again_and_costs_the_next_reading_nothing() -> None:
    meter = Meter()
    meter.add(said(b"a"))
    meter.read()
    meter.add(said(b"b"))
    assert meter.recent().last == [said(b"a"), said(b"b")]
    assert meter.recent().total == 2
    assert meter.read().last == [said(b"b")]


def test_time_and_total_belong_to_one_moment() -> None:
    """The clock counts the items: read at another moment than the total, the two would differ."""
    meter = Meter(lambda: float(meter.total))
    over = threading.Event()

    def deliver() -> None:
        while not over.is_set():
            meter.add_all((said(b"x"),))

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        readings = [meter.read() for _ in range(2000)]
    finally:
        over.set()
        thread.join()
    assert [reading.at for reading in readings] == [reading.total for reading in readings]
    assert sum(reading.came for reading in readings) == readings[-1].total
