"""The one timer of a state machine."""

from __future__ import annotations

import math
import threading
import time
from itertools import count
from typing import Any

from reactivex.disposable import Disposable

from rx_multicast_ipc.channel_scheduler import COARSE, TimerScheduler
from rx_multicast_ipc.testing import VirtualClock
from rx_multicast_ipc.transport.next_timer import NextTimer

from ..interrupts import interrupted_at, traces_opcodes


@traces_opcodes
def test_what_is_told_again_after_ctrl_c_is_called() -> None:
    for place in count(1):
        clock = VirtualClock()
        called: list[float] = []
        timer = NextTimer(clock, lambda clock=clock, called=called: called.append(clock.clock))
        timer.call_at(5.0, 0.0)
        reached = interrupted_at(place, lambda timer=timer: timer.call_at(1.0, 0.0))
        timer.call_at(1.0, 0.0)
        clock.advance_by(2.0)
        assert called, f"interrupted at place {place}, nobody calls"
        if not reached:
            break


@traces_opcodes
def test_what_the_timer_does_is_done_again_after_ctrl_c() -> None:
    for place in count(1):
        clock = VirtualClock()
        done: list[float] = []
        timer = NextTimer(clock, lambda clock=clock, done=done: done.append(clock.clock))
        timer.call_at(1.0, 0.0)
        reached = interrupted_at(place, lambda clock=clock: clock.advance_by(2.0))
        clock.advance_by(2.0)
        assert done, f"interrupted at place {place}, nobody calls"
        timer.call_at(9.0, clock.clock)
        clock.advance_by(9.0)
        assert len(done) > 1
        if not reached:
            break


def test_a_timer_that_fires_before_that_is_noted_is_not_taken_for_one_that_is_set() -> None:
    class Hasty(TimerScheduler):
        def schedule_exactly(self, seconds: float, action: Any) -> Any:
            self.thread = threading.Thread(target=action, args=(None, None))
            self.thread.start()
            self.thread.join(0.1)  # as far as it gets
            return Disposable()

    scheduler = Hasty(lambda: None)
    called: list[int] = []
    timer = NextTimer(scheduler, lambda: called.append(1))
    timer.call_at(0.0, 0.0)
    scheduler.thread.join()
    assert (len(called), timer.due) == (1, math.inf)


class Waiting:
    """A timer, and how its thread waits for it."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.scheduler = TimerScheduler(lambda: None)
        self.timer = NextTimer(self.scheduler, lambda: None)

    def call_at(self, pause: float, *, exact: bool) -> None:
        self.timer.call_at(self.now + pause, self.now, exact=exact)

    @property
    def is_coarse(self) -> bool:
        self.scheduler.next_due()  # which lets go of timers that were cancelled
        return self.scheduler.next_is_coarse

    @property
    def pause(self) -> float:
        return self.timer.due - self.now


def test_a_time_that_is_to_be_kept_soon_after_one_that_may_be_late_is_kept() -> None:
    waiting = Waiting()
    waiting.call_at(0.002, exact=False)
    assert waiting.is_coarse
    waiting.call_at(0.003, exact=True)
    assert not waiting.is_coarse
    assert waiting.pause <= 0.003


def test_a_time_that_may_be_late_makes_none_late_that_is_to_be_kept() -> None:
    waiting = Waiting()
    waiting.call_at(0.003, exact=True)
    waiting.call_at(0.002, exact=False)
    assert not waiting.is_coarse
    assert waiting.pause <= 0.003


def test_a_time_that_is_far_off_may_be_late_until_it_is_near() -> None:
    waiting = Waiting()
    waiting.call_at(0.01, exact=True)
    assert waiting.is_coarse
    waiting.call_at(0.01 + 2 * COARSE, exact=True)
    assert waiting.is_coarse
    waiting.now += 0.009
    waiting.call_at(0.001, exact=True)
    assert not waiting.is_coarse


def test_a_timer_that_a_signal_handler_stops_as_it_is_set_never_calls() -> None:
    for place in count(1):
        clock = VirtualClock()
        called: list[float] = []
        timer = NextTimer(clock, lambda clock=clock, called=called: called.append(clock.clock))
        reached = interrupted_at(place, lambda timer=timer: timer.call_at(1.0, 0.0), timer.stop)
        if not reached:
            break
        clock.advance_by(2.0)
        assert (called, timer.due) == ([], -math.inf), f"stopped at place {place}"


def test_a_timer_that_another_thread_stops_as_it_is_set_never_calls() -> None:
    class Hooked(TimerScheduler):
        def schedule_exactly(self, seconds: float, action: Any) -> Any:
            self.thread = threading.Thread(target=timer.stop)
            self.thread.start()
            self.thread.join(0.1)  # as far as it gets
            return super().schedule_exactly(seconds, action)

    scheduler = Hooked(lambda: None)
    timer = NextTimer(scheduler, lambda: None)
    timer.call_at(0.0, 0.0)
    scheduler.thread.join()
    assert (timer.due, scheduler.next_due()) == (-math.inf, None)
