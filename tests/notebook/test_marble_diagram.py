from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.notebook import marbles
from rx_multicast_ipc.notebook.marble_drawing import DENSE
from rx_multicast_ipc.testing import Event, Marbles, VirtualClock, VirtualNetwork

SVG = "{http://www.w3.org/2000/svg}"


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def titles(svg: str) -> list[str]:
    return [title.text or "" for title in parse(svg).iter(f"{SVG}title")]


def next_at(time: float, value: Any) -> Event:
    return Event(time, "next", value)


def test_each_sender_has_a_lane_on_one_clock() -> None:
    ann, bob = (ipc.Message(b"hello", "10.0.0.1", 1), ipc.Message(b"hi", "10.0.0.2", 2))
    drawn = marbles([next_at(0.5, ann), next_at(1, bob), next_at(1.5, ann)])
    assert [lane.name for lane in drawn.lanes] == ["10.0.0.1:1", "10.0.0.2:2"]
    assert titles(drawn.svg) == ["0.5 s: hello", "1.5 s: hello", "1 s: hi"]
    assert repr(drawn).splitlines() == [
        "10.0.0.1:1  --------------------o--------------------------------------o",
        "10.0.0.2:2  ----------------------------------------o-------------------",
        "            0 to 1.5 s",
    ]


def test_a_channel_is_recorded_on_the_wall_clock(channel: ipc.Channel) -> None:
    later = channel.broadcast_all(rx.timer(0.05).pipe(ops.map(lambda _: "hello")))
    later.subscribe(scheduler=channel.scheduler)
    drawn = marbles(channel, 0.5)
    (lane,) = drawn.lanes
    assert lane.name == "{}:{}".format(*channel.sender_address)
    assert [marble.text for marble in lane.marbles] == ["hello"]
    assert 0.03 < lane.marbles[0].time <= 0.5
    assert drawn.seconds == 0.5


def test_a_stream_is_recorded_in_virtual_time() -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.5)
    speaker, listener = (network.open_channel(host=host) for host in ("10.0.0.1", "10.0.0.2"))
    rx.timer(1.0).pipe(ops.flat_map(lambda _: speaker.broadcast("hello"))).subscribe(scheduler=clock)
    drawn = marbles(listener, 10, scheduler=clock)
    assert [(lane.name.split(":")[0], lane.marbles) for lane in drawn.lanes] == [("10.0.0.1", [(1.5, "hello")])]
    assert clock.to_seconds(clock.now) == 10


def test_recordings_are_drawn_one_lane_each() -> None:
    clock = VirtualClock()
    kit = Marbles(clock)
    source = kit.hot("a-b|", {"a": 1, "b": 2})
    seen, doubled = kit.record(source), kit.record(source.pipe(ops.map(lambda n: 2 * n)))
    clock.start()
    drawn = marbles({"source": seen, "doubled": doubled})
    assert [(lane.name, [marble.text for marble in lane.marbles]) for lane in drawn.lanes] == [
        ("source", ["1", "2"]),
        ("doubled", ["2", "4"]),
    ]
    assert titles(drawn.svg).count("completed") == 2
    assert repr(drawn).splitlines()[0].endswith("|")


def test_an_error_is_drawn_with_its_words() -> None:
    drawn = marbles({"a": rx.throw(OSError("gone")), "b": rx.of(1)}, 5)
    assert "OSError: gone" in titles(drawn.svg)
    assert re.search(r"^a  -*#", repr(drawn))


@pytest.mark.parametrize(("count", "bars"), [(DENSE, False), (DENSE + 1, True), (50_000, True)])
def test_many_items_are_drawn_as_bars(count: int, bars: bool) -> None:
    svg = marbles([next_at(number / count, number) for number in range(count)], 1).svg
    root = parse(svg)
    assert bool(list(root.iter(f"{SVG}rect"))) is bars
    assert len(list(root.iter(f"{SVG}circle"))) == (0 if bars else count)
    if bars:
        assert sum(int(title.split()[0]) for title in titles(svg)) == count
        assert f"{count:,} items" in svg
        assert len(svg) < 40_000


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.binary(max_size=20) | texts), max_size=10), texts)
def test_whatever_was_said_the_picture_is_a_picture(said: list[tuple[float, bytes | str]], name: str) -> None:
    events = [
        next_at(time, ipc.Message(value) if isinstance(value, bytes) else value)
        for time, value in sorted(said, key=lambda one: one[0])
    ]
    for drawn in (marbles(events), marbles({name: events})):
        assert parse(drawn.svg).tag == f"{SVG}svg"
        assert len(titles(drawn.svg)) == len(events)
        assert repr(drawn)


def test_markup_in_a_payload_stays_text() -> None:
    attack = "<script>alert(1)</script>"
    svg = marbles({attack: [next_at(0, attack)]}).svg
    assert "<script" not in svg
    assert attack in titles(svg)[0]


def test_nothing_recorded_is_an_empty_lane() -> None:
    assert repr(marbles(rx.never(), 0.01)).splitlines()[0].strip() == "-" * 60


def test_mistakes_are_told_at_once(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidOption, match="needs seconds"):
        marbles(channel)
    with pytest.raises(ipc.InvalidOption, match="not 5"):
        marbles(5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ipc.InvalidOption, match="a dict of those"):
        marbles([1, 2])  # pyright: ignore[reportArgumentType]
