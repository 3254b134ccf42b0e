"""How long a thread polls before it sleeps."""

from __future__ import annotations

import pytest

from rx_multicast_ipc.transport.udp.polling import ANSWERED, Polling

SOON, LATE = ANSWERED / 2, ANSWERED * 2


class Clock:
    """Takes turns of a thread: each wakes up ``after`` the one before, and takes no time."""

    def __init__(self, polling: Polling) -> None:
        self.polling = polling
        self.now = 1000.0

    def turn(self, after: float, *, read: bool = True, sent: bool = True) -> float:
        """Seconds that the thread polls after this turn."""
        self.now += after
        if 0.0 < self.polling.until <= self.now:
            self.polling.missed()
        if sent or self.polling.watches:
            self.polling.turned(self.now, self.now, read=read, sent=sent)
        return max(0.0, self.polling.until - self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock(Polling("auto"))


def test_it_polls_as_soon_as_an_answer_came_soon_and_was_answered(clock: Clock) -> None:
    assert clock.turn(1.0) == 0.0
    assert clock.turn(SOON) == pytest.approx(ANSWERED)
    assert clock.turn(SOON) == pytest.approx(ANSWERED)


def test_it_sleeps_once_an_answer_did_not_come_soon_until_one_does(clock: Clock) -> None:
    clock.turn(1.0)
    clock.turn(SOON)
    assert clock.turn(LATE) == 0.0
    assert clock.turn(LATE) == 0.0
    assert clock.turn(SOON) == pytest.approx(ANSWERED)


def test_what_comes_in_quick_succession_without_a_send_is_slept_for(clock: Clock) -> None:
    assert [clock.turn(SOON, sent=False) for _ in range(5)] == [0.0] * 5
    assert not clock.polling.watches


def test_what_is_sent_and_never_answered_is_slept_for(clock: Clock) -> None:
    assert [clock.turn(SOON, read=False) for _ in range(5)] == [0.0] * 5


def test_a_turn_between_a_send_and_its_answer_changes_nothing(clock: Clock) -> None:
    """Such as one for the thread's own messages."""
    clock.turn(1.0)
    clock.turn(SOON)
    assert clock.turn(SOON / 2, read=False, sent=False) == pytest.approx(ANSWERED - SOON / 2)
    assert clock.turn(SOON) == pytest.approx(ANSWERED)


def test_what_comes_beside_an_answer_does_not_end_the_wait_for_it(clock: Clock) -> None:
    """Such as an acknowledgement."""
    clock.turn(1.0)
    clock.turn(SOON)
    assert clock.turn(SOON / 2, sent=False) == pytest.approx(ANSWERED - SOON / 2)
    assert clock.turn(SOON / 2) == pytest.approx(ANSWERED)
    assert clock.turn(LATE, sent=False) == 0.0


def test_who_asks_now_and_then_and_is_answered_soon_polls_for_each_answer(clock: Clock) -> None:
    """From a timer, say: the answer is not answered, and nothing follows it."""
    clock.turn(1.0)
    clock.turn(SOON)
    for _ in range(5):
        clock.turn(SOON, sent=False)
        assert clock.turn(LATE, read=False) == pytest.approx(ANSWERED)


def test_a_conversation_that_ended_costs_one_poll(clock: Clock) -> None:
    clock.turn(1.0)
    clock.turn(SOON)
    assert clock.turn(LATE, read=False, sent=False) == 0.0
    assert clock.turn(1.0) == 0.0


def test_a_given_time_is_polled_after_each_turn_that_read() -> None:
    clock = Clock(Polling(0.25))
    assert clock.turn(1.0, sent=False) == pytest.approx(0.25)
    assert clock.turn(0.125, read=False) == pytest.approx(0.125)
    assert clock.turn(0.25, read=False) == 0.0


def test_no_time_is_never_polled_for() -> None:
    clock = Clock(Polling(0.0))
    assert [clock.turn(SOON) for _ in range(5)] == [0.0] * 5
    assert not clock.polling.watches
