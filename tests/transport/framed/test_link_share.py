"""Whether most of a queue that others fill, too, is a stream's own."""

from __future__ import annotations

from rx_multicast_ipc.transport.framed.link_share import PART, LinkShare, Turn

LINK = 1_000_000
TRIP = 0.125
"""Seconds: two of them make a span."""


class Spans:
    """A stream that is asked every round trip, and what it gets of the link."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seen = 0
        self.share = LinkShare(self.now)

    def go(self, part: float, *, limited: bool = True, rounds: int = 2) -> list[Turn]:
        """So many round trips with a part of the link; returns what they came to."""
        turns: list[Turn] = []
        for _ in range(rounds):
            self.now += TRIP
            self.seen += int(part * LINK * TRIP)
            turns.append(self.share.look(self.seen, TRIP, self.now, limited=limited))
        return [turn for turn in turns if turn is not Turn.NONE]

    def begin(self, part: float) -> None:
        """Up to a trial that has settled."""
        assert self.go(part) == [Turn.BEGINS]
        assert self.share.tries
        assert self.go(part) == []


def test_a_queue_of_its_own_lets_as_much_through_of_a_smaller_window() -> None:
    spans = Spans()
    spans.begin(0.9)
    assert spans.go(0.88) == [Turn.OURS]
    assert spans.go(0.88) == [Turn.BEGINS]  # and is tried again at once


def test_a_queue_of_others_lets_as_much_less_through_and_is_left_alone_for_a_while() -> None:
    spans = Spans()
    spans.begin(0.3)
    assert spans.go(0.3 * PART) == [Turn.OTHERS]
    assert not spans.share.tries
    assert spans.go(0.9, rounds=32) == []
    assert spans.go(0.9) == [Turn.BEGINS]


def test_it_knows_nothing_of_the_link_from_before() -> None:
    spans = Spans()
    spans.go(5.0, limited=False)  # faster than the link is now, or a receiver that catches up
    spans.begin(0.5)
    assert spans.go(0.49) == [Turn.OURS]


def test_a_sender_that_pauses_amid_a_trial_ends_it_in_vain() -> None:
    spans = Spans()
    spans.begin(0.9)
    assert spans.go(0.5, limited=False, rounds=1) == [Turn.OTHERS]


def test_who_sends_less_than_the_window_lets_out_is_not_tried() -> None:
    spans = Spans()
    for _ in range(50):
        assert spans.go(0.5, limited=False, rounds=1) + spans.go(0.5, rounds=1) == []


def test_where_the_queue_overflowed_others_fill_it_and_nothing_is_tried_for_long() -> None:
    spans = Spans()
    spans.begin(0.9)
    spans.share.on_overflow(spans.seen, spans.now)
    assert not spans.share.tries
    assert spans.go(0.9, rounds=80) == []
    assert spans.go(0.9) == [Turn.BEGINS]
