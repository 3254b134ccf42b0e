"""The one timer of a state machine."""

from __future__ import annotations

from itertools import count

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
