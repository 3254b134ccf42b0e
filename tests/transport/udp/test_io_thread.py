"""The thread that reads, delivers and runs timers."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.udp import io_thread, pollers, polling

from ...helpers import PATIENCE, Seen, run, wait_until


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long I/O threads waited for something to come, at most; each time that they did not merely look."""
    waits: list[float | None] = []
    make: Any = pollers.new_poller

    def watched() -> Any:
        poller = make()
        wait = poller.wait

        def note(seconds: float | None) -> Any:
            if seconds != 0.0:
                waits.append(seconds)
            return wait(seconds)

        poller.wait = note
        return poller

    monkeypatch.setattr(pollers, "new_poller", watched)
    return waits


@pytest.mark.parametrize("spin", [0.0, 1.0])
def test_a_thread_that_spins_does_not_sleep_between_messages(
    port: int, sleeps: list[float | None], spin: float
) -> None:
    with ipc.open_channel(port) as other, ipc.open_channel(port, spin=spin, echo=False) as channel:
        seen = Seen(channel.messages)
        run(other.broadcast(b"wakes it up"))
        seen.wait_for_count(1)
        other.close()
        for number in range(2, 12):
            sleeps.clear()
            run(ipc.broadcast(b"x", port))
            seen.wait_for_count(number)
            if spin and not sleeps:
                return  # on a busy machine, one of ten came within the second
        assert not spin, "it slept each time"
        wait_until(lambda: sleeps)


@pytest.mark.parametrize("within", [0.0, PATIENCE])
def test_a_thread_polls_as_long_as_what_it_sends_is_answered_soon(
    port: int, sleeps: list[float | None], monkeypatch: pytest.MonkeyPatch, within: float
) -> None:
    """Where an answer has no time to be soon, it sleeps; where it has much, it does not, from the third on."""
    monkeypatch.setattr(polling, "ANSWERED", within)
    over = threading.Event()
    slept: list[int] = []
    with ipc.open_channel(port, echo=False) as here, ipc.open_channel(port, echo=False) as there:

        def answer(channel: ipc.Channel, message: ipc.Message) -> None:
            slept.append(len(sleeps))
            if len(slept) == 20:
                over.set()
            else:
                channel.broadcast(message.data).subscribe()

        there.messages.subscribe(partial(answer, there))
        here.messages.subscribe(partial(answer, here))
        run(here.broadcast(b"x"))
        assert over.wait(PATIENCE)
        assert (slept[-1] > slept[5]) == (within == 0.0)


def test_a_thread_that_spins_runs_timers_and_what_others_ask_for(port: int) -> None:
    with ipc.open_channel(port, spin=1.0) as channel:
        ran: list[str] = []

        def begin() -> None:  # on its thread, so that none is run before all are there
            now = channel.scheduler.now
            for due, name in ((0.02, "second"), (0.01, "first"), (0.0, "at once")):
                channel.scheduler.schedule_absolute(
                    now + timedelta(seconds=due), lambda _scheduler, _state, name=name: ran.append(name)
                )

        channel.transport.call(begin)
        wait_until(lambda: len(ran) == 3)
        assert ran == ["at once", "first", "second"]
        with pytest.raises(ipc.MessageTimeout):
            ipc.run(channel.request("x", lambda _: True, timeout=0.01))


@pytest.mark.parametrize("spin", [-1.0, 1.5, float("nan"), "long", True, None])
def test_a_spin_that_is_no_fraction_of_a_second_is_refused(port: int, spin: Any) -> None:
    with pytest.raises(
        ipc.InvalidOption, match=r"spin is how many seconds to look for messages before sleeping, 0 to 1"
    ):
        ipc.open_channel(port, spin=spin)


@pytest.mark.quiet_machine
def test_a_timer_of_a_millisecond_takes_one(channel: ipc.Channel) -> None:
    took: list[float] = []
    for _ in range(5):
        began, ticks, over = time.monotonic(), count(1), threading.Event()
        ticking = channel.scheduler.schedule_periodic(
            0.001, lambda _, ticks=ticks, over=over: over.set() if next(ticks) == 100 else None
        )
        assert over.wait(PATIENCE)
        ticking.dispose()
        took.append(time.monotonic() - began)
    assert min(took) < 0.15, "epoll alone takes 2 ms for each"


def test_an_action_may_catch_up_with_those_posted_after_it() -> None:
    """As one does that delivers what it read."""
    thread = io_thread.IoThread("test")
    ran: list[int] = []
    posted, over = threading.Event(), threading.Event()

    def first() -> None:
        posted.wait(PATIENCE)
        thread.catch_up()
        ran.append(0)

    thread.post(first)
    for number in (1, 2):
        thread.post(lambda number=number: ran.append(number))
    posted.set()
    thread.post(over.set)
    assert over.wait(PATIENCE)
    wait_until(lambda: len(ran) == 3)
    assert ran == [1, 2, 0]


class Burst:
    """Lazy work for which another thread asks within each turn that does it, so many times.

    Args:
        times: how often.
    """

    crowded = False

    def __init__(self, times: int) -> None:
        self.pending = False
        self._left = times
        self.over = threading.Event()
        self.thread = io_thread.IoThread("test", self, self._do)

    def ask(self) -> None:
        """Ask for it, on another thread."""

        def ask() -> None:
            self.pending = True
            self.thread.run_soon(lambda: True)

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join()

    def _do(self) -> None:
        self.pending = False
        if self._left:
            self._left -= 1
            self.ask()
        else:
            self.over.set()

    def __enter__(self) -> Burst:
        self._kept = self.thread.scheduler.schedule_relative(1e6, lambda _scheduler, _state: None)  # so that it lives
        self.ask()
        assert self.over.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.dispose()


def test_what_other_threads_ask_for_during_a_turn_waits_for_no_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io_thread, "SOON", 1e6)
    monkeypatch.setattr(io_thread, "_OFTEN", 1e6)
    with Burst(5):
        pass


@pytest.mark.parametrize("gather", [1e6, 0.0])
def test_what_other_threads_ask_for_without_end_gathers(monkeypatch: pytest.MonkeyPatch, gather: float) -> None:
    """Once one turn follows at the heels of the other: as they all do within a long time, and none within no time."""
    gathered: list[float] = []

    class Time:
        perf_counter, monotonic = staticmethod(time.perf_counter), staticmethod(time.monotonic)
        sleep = staticmethod(gathered.append)

    monkeypatch.setattr(io_thread, "time", Time)
    monkeypatch.setattr(io_thread, "_GATHER", gather)
    monkeypatch.setattr(io_thread, "_OFTEN", 1e6)
    with Burst(10):
        assert bool(gathered) is (gather > 0.0)
