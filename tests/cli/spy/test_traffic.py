"""What the spy keeps is bounded, and what it counts is right."""

from __future__ import annotations

import re

import pytest

from rx_multicast_ipc.cli.spy import traffic as module
from rx_multicast_ipc.cli.spy.traffic import Meter, Traffic

from ...helpers import ipc


def message(text: str, port: int = 1, at: float = 0.0) -> ipc.Message:
    return ipc.Message(text.encode(), port=port, received_at=at)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 10)
    monkeypatch.setattr(module, "KEPT_BYTES", 100)
    monkeypatch.setattr(module, "SENDERS", 3)


def texts(traffic: Traffic) -> list[str]:
    return [heard.message.text for heard in traffic.latest]


def test_the_latest_messages_are_kept_and_all_are_counted() -> None:
    traffic = Traffic()
    traffic.add([message(str(number)) for number in range(25)])
    assert texts(traffic) == [str(number) for number in range(15, 25)]
    assert traffic.total.messages == traffic.senders["127.0.0.1", 1].messages == 25


@pytest.mark.parametrize("pause", [False, True])
def test_what_is_kept_is_bounded_in_bytes_too(pause: bool) -> None:
    traffic = Traffic()
    if pause:
        traffic.pause()
    traffic.add([message(letter * 40) for letter in "abcdef"])
    if pause:
        traffic.resume()
    assert texts(traffic) == ["e" * 40, "f" * 40]
    traffic.add([message("g" * 65_000)])
    assert [len(text) for text in texts(traffic)] == [65_000]
    traffic.add([message("h")])
    assert texts(traffic) == ["h"]
    assert traffic.total.bytes == 6 * 40 + 65_000 + 1


def test_of_a_sender_only_the_beginning_of_its_last_payload_is_kept() -> None:
    traffic = Traffic()
    traffic.add([message("x" * 65_000)])
    assert len(traffic.senders["127.0.0.1", 1].last) == module.PREVIEW


def test_a_filter_shows_nothing_that_is_no_longer_kept() -> None:
    traffic = Traffic()
    traffic.choose(re.compile("^a"), None)
    traffic.add([message("a1"), *[message("b")] * 9, message("a2")])
    assert texts(traffic) == ["a2"]


def test_a_pause_is_bounded_too() -> None:
    traffic = Traffic()
    traffic.add([message("before")])
    traffic.pause()
    traffic.add([message(str(number)) for number in range(100)])
    assert texts(traffic) == ["before"]
    traffic.resume()
    assert texts(traffic) == [str(number) for number in range(90, 100)]


def test_who_has_been_silent_longest_is_forgotten_first() -> None:
    traffic = Traffic()
    for at, port in enumerate((1, 2, 3, 1, 4)):
        traffic.add([message("x", port, at)])
    assert {port for _, port in traffic.senders} == {1, 3, 4}
    assert traffic.senders.forgotten == 1


def test_a_rate_is_the_mean_of_the_last_two_seconds() -> None:
    meter = Meter()
    for tick in range(40):
        meter.mark(tick / 4)
        meter.messages += 5
        meter.bytes += 50
    meter.mark(10.0)
    assert meter.message_rate == pytest.approx(20)
    assert meter.byte_rate == pytest.approx(200)
    for tick in range(41, 60):
        meter.mark(tick / 4)
    assert meter.message_rate == 0
