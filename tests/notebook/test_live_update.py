from __future__ import annotations

import math
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc import Message
from rx_multicast_ipc.notebook.live_meter import Item, Meter, Reading, Value
from rx_multicast_ipc.notebook.live_update import (
    MOST_SENDERS,
    PAYLOAD_BUDGET,
    Head,
    encode,
    fair_limit,
    payload_of,
)
from rx_multicast_ipc.notebook.sender_name import name_of
from rx_multicast_ipc.validation.topic_name import split_topic


def decoded(parts: list[bytes]) -> tuple[Head, list[bytes]]:
    """The head, and the payload of each row."""
    head = msgspec.json.decode(parts[0], type=Head)
    payloads: list[bytes] = []
    at = 0
    for row in head.rows:
        payloads.append(parts[1][at : at + row.shown])
        at += row.shown
    assert at == len(parts[1])
    return head, payloads


def of_items(*items: Item) -> Reading:
    return Reading(1.0, len(items), 0, False, {}, len(items), len(items), items)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_payloads_within_the_budget_arrive_whole_and_in_order(payloads: list[bytes]) -> None:
    head, shown = decoded(encode(of_items(*(Message(data) for data in payloads))))
    assert [(row.topic, data) for row, data in zip(head.rows, shown, strict=True)] == [*map(split_topic, payloads)]
    assert [row.size for row in head.rows] == [len(data) for data in payloads]


def test_beyond_the_budget_long_payloads_are_cut_and_short_ones_are_whole() -> None:
    payloads = [bytes(60_000)] * 10 + [b"short"] * 100
    parts = encode(of_items(*(Message(data) for data in payloads)))
    head, shown = decoded(parts)
    assert len(parts[1]) <= PAYLOAD_BUDGET
    assert shown[10:] == payloads[10:]
    assert {row.whole for row in head.rows[:10]} == {60_000}
    assert min(map(len, shown[:10])) > 26_000


@given(st.lists(st.integers(0, 70_000), max_size=200), st.integers(1, 300_000))
def test_the_limit_spends_the_budget_and_no_more(sizes: list[int], budget: int) -> None:
    limit = fair_limit(sizes, budget)
    assert sum(min(size, limit) for size in sizes) <= budget
    if sum(sizes) <= budget:
        assert limit >= max(sizes, default=0)
    else:
        assert sum(min(size, limit + 1) for size in sizes) > budget


def test_counts_of_a_sample_are_scaled_to_what_came_and_told_as_such() -> None:
    senders: dict[Any, tuple[int, int]] = {("127.0.0.1", 1): (30, 60), ("127.0.0.1", 2): (10, 10)}
    reading = Reading(1.0, 1000, 5000, True, senders, 40, 400, [])
    head, _ = decoded(encode(reading))
    assert head.senders == [("127.0.0.1:1", 300, 600), ("127.0.0.1:2", 100, 100)]
    assert (head.bytes, head.estimated) == (5000, True)


def test_the_busiest_senders_are_named_and_the_others_told_together() -> None:
    senders: dict[Any, tuple[int, int]] = {("127.0.0.1", port): (port, 2 * port) for port in range(1, 101)}
    head, _ = decoded(encode(Reading(1.0, 5050, 0, False, senders, 5050, 5050, [])))
    assert [items for _, items, _ in head.senders] == list(range(100, 100 - MOST_SENDERS, -1))
    assert head.others == (sum(range(1, 51)), 2 * sum(range(1, 51)))
    assert not head.estimated


def test_an_ipv6_sender_is_told_with_brackets() -> None:
    assert name_of(("fe80::1%eth0", 7)) == "[fe80::1%eth0]:7"


class Unshowable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_a_plain_value_is_shown_as_text_json_or_repr() -> None:
    def shown(value: Any) -> bytes:
        return payload_of(Value(value, 1.0))

    assert shown("héllo\ud800") == "héllo?".encode()
    assert shown(bytearray(b"\xff\x00")) == b"\xff\x00"
    assert shown({"a": [1, None]}) == b'{"a":[1,null]}'
    assert shown({1, 2}) in (b"[1,2]", b"[2,1]")
    assert shown(1j) == b"1j"
    assert shown(Unshowable()) == b"<Unshowable, whose repr raised ZeroDivisionError>"


@given(st.recursive(st.none() | st.floats() | st.text() | st.binary() | st.complex_numbers(), st.lists))
def test_every_value_can_be_told(value: Any) -> None:
    meter = Meter()
    meter.add(value)
    head, _ = decoded(encode(meter.read()))
    assert head.rows[0].size is None
    assert math.isfinite(head.at)
