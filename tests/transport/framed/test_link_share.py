"""Whether a stream takes nearly all that a link carries."""

from __future__ import annotations

from rx_multicast_ipc.transport.framed.link_share import LinkShare

LINK = 1_000_000
WINDOW = 100_000
TRIP = 0.125
"""Seconds: two of them make a span."""


class Spans:
    """A stream that is asked every round trip, and what it gets of the link."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seen = 0
        self.share = LinkShare(self.now)

    def go(self, part: float, *, window: int = WINDOW, contended: bool = True, rounds: int = 20) -> int:
        """So many round trips with a part of the link; returns in how many of them the window is to give way."""
        asked = 0
        for _ in range(rounds):
            self.now += TRIP
            self.seen += int(part * LINK * TRIP)
            if self.share.takes_most(self.seen, window, TRIP, self.now, contended=contended):
                self.share.on_gave_way(window)
                asked += 1
        return asked


def test_who_is_alone_may_have_all() -> None:
    assert Spans().go(1.0, contended=False) == 0


def test_who_had_all_leaves_a_part_to_others() -> None:
    spans = Spans()
    spans.go(1.0, contended=False)
    assert spans.go(0.6) == 0
    assert spans.go(0.9, rounds=2) == 1


def test_who_never_was_alone_learns_from_its_rate_that_the_queue_is_of_others() -> None:
    spans = Spans()
    assert spans.go(0.2, rounds=2) == 1
    spans.go(0.2 * 0.72, window=WINDOW * 7 // 10, rounds=8)  # as much less came through
    assert spans.go(0.3) == 0


def test_who_never_was_alone_learns_from_its_rate_that_the_queue_is_its_own() -> None:
    spans = Spans()
    assert spans.go(0.9, rounds=2) == 1
    spans.go(0.88, window=WINDOW * 7 // 10, rounds=6)
    assert spans.go(0.88, rounds=6) > 0


def test_a_pause_of_the_sender_amid_a_trial_tells_nothing_of_the_link() -> None:
    spans = Spans()
    assert spans.go(0.9, rounds=2) == 1
    spans.go(0.0, window=WINDOW * 7 // 10, rounds=4)
    assert spans.go(0.9, rounds=2) == 1


def test_what_came_through_is_judged_by_the_quarter_of_a_second() -> None:
    spans = Spans()
    spans.go(1.0, contended=False)
    assert spans.go(0.9, rounds=1) == 0
