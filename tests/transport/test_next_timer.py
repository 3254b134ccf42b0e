"""The one timer of a state machine."""

from __future__ import annotations

import math
import threading
from itertools import count
from typing import Any

from reactivex.disposable import Disposable

from rx_multicast_ipc.channel_scheduler import TimerScheduler
from rx_multicast_ipc.testing import VirtualClock
from rx_multicast_ipc.transport.next_timer import NextTimer

from ..interrupts import interrupted_at


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
