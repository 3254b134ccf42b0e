from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc import Message, Received, TopicMessage
from rx_multicast_ipc.notebook.plotted_values import INTERVAL, KEPT, MOST_SERIES, PlottedValues

NOW = 1_700_000_000.0
FROM_ANN = Message(b"21.5", "127.0.0.1", 4001)
OF_TOPIC = Message(b"roof\x0021.5", "127.0.0.1", 4001)


class Reading(msgspec.Struct):
    sensor: str
    celsius: float


@dataclass
class Position:
    x: int
    y: float


class Pair(NamedTuple):
    low: int
    high: int


Choose = Callable[[Any], Any]


def plotted(*items: Any, value: Choose | None = None, by: Choose | None = None) -> dict[str, list[float]]:
    """The last value of every bucket, when each item has one of its own."""
    values = PlottedValues(value, by)
    for number, item in enumerate(items):
        values.add(item, NOW + number * INTERVAL)
    return {name: [bucket.last for bucket in buckets] for name, buckets in values.read().series}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (21.5, {"value": [21.5]}),
        (3, {"value": [3.0]}),
        (True, {"value": [1.0]}),
        (Decimal("1.5"), {"value": [1.5]}),
        (Fraction(1, 4), {"value": [0.25]}),
        ({"a": 1, "b": "x", "c": None, "d": 2.5, "e": True}, {"a": [1.0], "d": [2.5]}),
        (Reading("roof", 21.5), {"celsius": [21.5]}),
        (Position(1, 2.5), {"x": [1.0], "y": [2.5]}),
        (Pair(1, 2), {"low": [1.0], "high": [2.0]}),
        (Received(Reading("roof", 21.5), FROM_ANN), {"127.0.0.1:4001 celsius": [21.5]}),
        (Received(21.5, OF_TOPIC), {"roof": [21.5]}),
        (FROM_ANN, {}),
        (TopicMessage("roof", OF_TOPIC), {}),
        ("21.5", {}),
        (b"21.5", {}),
        (None, {}),
        ([1, 2], {}),
        (math.nan, {}),
        (math.inf, {}),
        ({"a": math.nan, "b": 1}, {"b": [1.0]}),
        (1j, {}),
        ([object()], {}),
    ],
    ids=range(22),
)
def test_numbers_and_records_of_numbers_are_plotted_by_themselves(item: Any, expected: dict[str, list[float]]) -> None:
    assert plotted(item) == expected


def test_a_value_is_made_of_each_item_and_named_after_its_topic_or_sender() -> None:
    assert plotted(FROM_ANN, OF_TOPIC, value=lambda m: len(m.data)) == {"127.0.0.1:4001": [4.0], "roof": [9.0]}
    found = plotted(TopicMessage("roof", OF_TOPIC), value=lambda found: {"celsius": found.json(), "text": "no"})
    assert found == {"roof celsius": [21.5]}


def test_by_says_what_a_series_is_named_after() -> None:
    items = [Reading("roof", 21.5), Reading("cellar", 15.0)]
    assert plotted(*items, by=lambda r: r.sensor) == {"roof celsius": [21.5], "cellar celsius": [15.0]}
    assert plotted(FROM_ANN, value=lambda m: m.json(), by=lambda m: "") == {"value": [21.5]}


def test_a_sender_that_has_a_name_gives_it_to_its_series() -> None:
    values = PlottedValues(lambda m: {"": m.json(), "half": m.json() / 2})
    values.names = {FROM_ANN.sender: "Ann"}
    values.add(FROM_ANN, NOW)
    values.add(Message(b"1", "127.0.0.1", 4002), NOW)
    names = [name for name, _ in values.read().series]
    assert names == ["Ann", "Ann half", "127.0.0.1:4002", "127.0.0.1:4002 half"]


def test_none_is_nothing_to_plot_and_no_failure() -> None:
    values = PlottedValues(lambda m: None)
    values.add(FROM_ANN, NOW)
    assert (values.read().series, values.read().failed) == ([], 0)


@pytest.mark.parametrize("where", ["value", "by"])
def test_what_a_callers_function_raises_is_counted_and_told(where: str) -> None:
    def fail(item: Any) -> Any:
        raise ValueError("no number")

    values = PlottedValues(float, fail) if where == "by" else PlottedValues(fail)
    for item in (1, 2):
        values.add(item, NOW)
    reading = values.read()
    assert (reading.series, reading.failed, reading.reason) == ([], 2, "ValueError: no number")


def test_a_bucket_tells_the_least_the_greatest_and_the_last() -> None:
    values = PlottedValues()
    for number in (3, 1, 7, 5):
        values.add(number, NOW)
    ((name, (bucket,)),) = values.read().series
    assert (name, bucket.low, bucket.high, bucket.last) == ("value", 1.0, 7.0, 5.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(-9, 9)), max_size=60), st.integers(1, 7))
def test_what_was_read_bit_by_bit_is_what_is_kept(changes: list[tuple[float, int]], every: int) -> None:
    values = PlottedValues()
    now, told = NOW, dict[int, tuple[float, float, float]]()
    for number, (pause, value) in enumerate(changes):
        now += pause
        values.add(value, now)
        if number % every == 0 or number == len(changes) - 1:
            told |= {b.number: (b.low, b.high, b.last) for _, buckets in values.read().series for b in buckets}
    kept = {b.number: (b.low, b.high, b.last) for _, buckets in values.read(all_kept=True).series for b in buckets}
    assert told == kept


def test_it_keeps_a_minute_of_each_series_and_no_more() -> None:
    values = PlottedValues()
    for number in range(2 * KEPT):
        values.add(number, NOW + number * INTERVAL)
    ((_, buckets),) = values.read(all_kept=True).series
    assert len(buckets) == KEPT
    assert KEPT * INTERVAL >= 61


def test_series_without_number_are_kept_in_bounds_and_counted() -> None:
    values = PlottedValues(by=str)
    for number in range(10_000):
        values.add(number, NOW)
    reading = values.read()
    assert len(reading.series) == MOST_SERIES
    assert reading.left_out == 10_000 - MOST_SERIES
    values.add(1_000_000, NOW + 1 + KEPT * INTERVAL)  # the others have left the plot
    assert "1000000" in [name for name, _ in values.read().series]


def test_a_clock_that_is_set_back_begins_anew() -> None:
    values = PlottedValues()
    values.add(1, NOW)
    values.read()
    values.add(2, NOW - 3600)
    ((_, (bucket,)),) = values.read().series
    assert bucket.last == 2.0


def test_names_of_strangers_are_cut() -> None:
    ((name, _),) = [*plotted({"x" * 10_000: 1}).items()]
    assert len(name) <= 80
