"""The calendar of what is on its way on a virtual network."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.testing import TestScheduler

from rx_multicast_ipc.testing import VirtualClock
from rx_multicast_ipc.transport.virtual import arrivals as calendar
from rx_multicast_ipc.transport.virtual.arrivals import Arrival, Arrivals, Carried

CARRIED = Carried(b"", "10.0.0.1", 1, "IPv4", False, ("224.0.2.1", 1), None)


def calendar_of(clock: VirtualTimeScheduler, deliver: Callable[[list[Arrival]], object]) -> Arrivals:
    """One whose owner makes no difference between one arrival and several."""
    return Arrivals(clock, deliver, lambda arrival: deliver([arrival]))


Schedulers = pytest.mark.parametrize("make", [VirtualClock, TestScheduler])


@Schedulers
@given(times=st.lists(st.integers(0, 20_000), max_size=60), later=st.lists(st.integers(0, 20_000), max_size=60))
def test_what_arrives_comes_in_order_of_time_then_of_sending(
    make: Callable[[], VirtualTimeScheduler], times: list[int], later: list[int]
) -> None:
    clock, came = make(), list[tuple[int, int]]()
    calls: list[set[int]] = []

    def deliver(arrived: list[Arrival]) -> None:
        calls.append({arrival.at for arrival in arrived})
        came.extend((arrival.at, arrival.end) for arrival in arrived)
        while later:  # each moment brings something that is sent then
            now = arrived[0].at
            sent = Arrival(now + later.pop(), len(all_sent), CARRIED)
            all_sent.append(sent)
            arrivals.put([sent])
            if sent.at % 2:
                break

    arrivals = calendar_of(clock, deliver)
    all_sent = [Arrival(at, number, CARRIED) for number, at in enumerate(times)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calendar, "_MOST_MOVED", 3)
        arrivals.put(list(all_sent))
        clock.start()
    assert came == sorted((arrival.at, arrival.end) for arrival in all_sent)
    assert arrivals.due == -1
    assert all(len(moments) == 1 for moments in calls)


def test_the_clock_knows_the_last_arrival(clock: VirtualClock) -> None:
    arrivals = calendar_of(clock, lambda arrived: None)
    arrivals.put([Arrival(at, 0, CARRIED) for at in (5_000_000, 1, 5_000_400)])
    assert clock.busy_until == 5.0004
    clock.advance_to(1.0)
    assert clock.busy_until == 5.0004
    clock.start()
    assert (clock.busy_until, clock.clock) == (None, 5.0004)


def test_what_arrives_comes_before_what_else_is_due_then(clock: VirtualClock) -> None:
    told: list[str] = []
    clock.schedule_relative(1.0, lambda _scheduler, _state: told.append("timer"))
    first = calendar_of(clock, lambda arrived: told.append("first"))
    second = calendar_of(clock, lambda arrived: told.append("second"))
    second.put([Arrival(2_000_000, 0, CARRIED), Arrival(500_000, 0, CARRIED)])
    first.put([Arrival(1_000_000, 0, CARRIED)])
    clock.start()
    assert told == ["second", "first", "timer", "second"]


def test_a_delivery_that_raises_leaves_the_rest_on_its_way(clock: VirtualClock) -> None:
    def deliver(arrived: list[Arrival]) -> None:
        came.append(arrived[0].at)
        if arrived[0].at == 1:
            raise KeyboardInterrupt

    came: list[int] = []
    arrivals = calendar_of(clock, deliver)
    arrivals.put([Arrival(at, 0, CARRIED) for at in (1, 2, 3_000_000)])
    with pytest.raises(KeyboardInterrupt):
        clock.start()
    clock.start()
    assert came == [1, 2, 3_000_000]


def test_what_is_on_its_way_costs_the_collector_nothing(clock: VirtualClock) -> None:
    arrivals = calendar_of(clock, lambda arrived: None)
    arrivals.put([Arrival(at, 0, CARRIED) for at in range(1000)])
    gc.collect()
    before = len(gc.get_objects())
    arrivals.put([Arrival(at, 0, CARRIED) for at in range(1000) for _ in range(100)])
    gc.collect()
    assert len(gc.get_objects()) - before < 100
