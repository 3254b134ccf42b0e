"""When a stream says where it stands."""

from __future__ import annotations

import math

from rx_multicast_ipc.transport.framed.heartbeats import Beats


def beats_until(beats: Beats, end: float, *, wanted: bool) -> list[float]:
    """When beats go out, if it is looked when they ask for it."""
    gone_out: list[float] = []
    while beats.at <= end:
        now = beats.at
        if beats.is_due(now):
            gone_out.append(now)
            beats.next(now, wanted=wanted)
    return gone_out


def test_before_the_first_packet_there_is_none() -> None:
    assert Beats().at == math.inf


def test_they_come_ever_more_slowly() -> None:
    beats = Beats()
    beats.on_packet(10.0)
    times = beats_until(beats, 14.0, wanted=True)
    pauses = [round(late - early, 3) for early, late in zip([10.0, *times], times, strict=False)]
    assert pauses == [0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 1.0]


def test_a_packet_that_was_noted_puts_the_first_one_off() -> None:
    beats = Beats()
    beats.on_packet(10.0)
    beats.packet_at = 10.003
    assert not beats.is_due(10.004)
    assert beats_until(beats, 10.01, wanted=True) == [10.003 + 0.004]


def test_a_packet_after_a_beat_begins_anew() -> None:
    beats = Beats()
    beats.on_packet(10.0)
    beats_until(beats, 11.0, wanted=True)
    assert beats.count
    beats.on_packet(11.0)
    assert not beats.count
    assert beats_until(beats, 11.005, wanted=True) == [11.0 + 0.004]


def test_one_that_is_asked_for_is_not_put_off() -> None:
    beats = Beats()
    beats.on_packet(10.0)
    beats.ask(10.001)
    assert beats.is_due(10.001)


def test_they_end_where_nobody_wants_more() -> None:
    beats = Beats()
    beats.on_packet(10.0)
    assert len(beats_until(beats, 1000.0, wanted=False)) == 16
    assert beats.at == math.inf


def test_they_go_on_for_as_long_as_somebody_wants_more() -> None:
    beats = Beats()
    beats.on_packet(10.0)
    assert 1990 < len(beats_until(beats, 2010.0, wanted=True)) <= 2010
