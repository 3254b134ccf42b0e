"""The window of one stream, round by round."""

from __future__ import annotations

from rx_multicast_ipc.transport.framed.congestion import Congestion

PACKET = 1400
TRIP = 0.005


class Rounds:
    """Round trips of one stream."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.seen = 0
        self.congestion = Congestion(PACKET, None, self.now)

    def go(self, count: int, queue: float, *, lost: bool = False, size: int | None = None) -> int:
        """So many round trips, each behind ``queue`` seconds of it; returns the window after them.

        Each brings ``size`` bytes, or what the window lets out.
        """
        for _ in range(count):
            if size is None:
                self.congestion.on_limited()
            if lost:
                self.congestion.on_lost(self.now)
            self.now += 0.3  # longer than any of them
            self.seen += self.congestion.window if size is None else size
            self.congestion.on_round_trip(1, TRIP + queue, TRIP, self.seen, self.now)
        return self.congestion.window


def test_it_doubles_as_long_as_no_queue_stands() -> None:
    rounds = Rounds()
    before = rounds.congestion.window
    assert rounds.go(4, 0.0) == 16 * before


def test_a_receiver_that_comes_late_once_does_not_end_the_doubling() -> None:
    rounds = Rounds()
    before = rounds.go(2, 0.0)
    assert rounds.go(1, 0.03) == before
    assert rounds.go(2, 0.0) == 4 * before


def test_a_receiver_that_comes_late_costs_the_window_nothing_for_long() -> None:
    rounds = Rounds()
    rounds.go(6, 0.0)
    before = rounds.go(2, 0.015)
    assert rounds.go(3, 0.025) < before
    assert rounds.go(8, 0.002) > 0.95 * before


def test_a_queue_of_its_own_is_kept_short() -> None:
    rounds = Rounds()
    before = rounds.go(6, 0.0)
    assert rounds.go(6, 0.04) < before // 2
    small = rounds.congestion.window
    assert rounds.go(8, 0.015) < 1.5 * small  # where the queue still stands, it grows by packets


def test_random_loss_beside_a_receiver_that_comes_late_once_is_no_signal() -> None:
    rounds = Rounds()
    rounds.go(6, 0.0)
    rounds.go(2, 0.012)
    before = rounds.go(1, 0.0)
    assert rounds.go(1, 0.012, lost=True) >= before
    assert rounds.go(1, 0.012, lost=True) < before


def test_who_sends_less_than_the_window_lets_out_does_not_give_way_to_others() -> None:
    rounds = Rounds()
    before = rounds.go(1, 0.04)
    shrunk = rounds.go(5, 0.04)
    while rounds.go(1, 0.04) == shrunk:  # the queue stays although less is sent, so it is of others
        pass
    assert min(rounds.go(1, 0.04, size=before * 4 // 5) for _ in range(20)) == before
