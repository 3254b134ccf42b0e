"""A capture comes back as messages, with the gaps it was captured with, in real or virtual time."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.scheduler import TimeoutScheduler, VirtualTimeScheduler
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc import capture
from rx_multicast_ipc.testing import VirtualClock

from ..helpers import Seen, divide_by_zero, nothing_left_behind
from .packets import (
    GROUP,
    HELLO,
    NOON,
    PORT,
    RAW,
    SECOND,
    enhanced,
    interface,
    ipv4,
    pcap,
    saved,
    section,
    simple,
    udp,
)


def numbered(folder: Path, count: int, gap: float = 0.0) -> Path:
    """A capture of so many messages, each its number, so many seconds apart."""
    packets = [ipv4(udp(str(number).encode())) for number in range(count)]
    return saved(folder, pcap(*packets, gap=round(gap * SECOND)))


def numbers(messages: list[ipc.Message]) -> list[int]:
    return [int(message.data) for message in messages]


@pytest.mark.parametrize(("speed", "gap"), [(1.0, 0.3), (2.0, 0.15), (0.5, 0.6), (1000, 0.0003)])
def test_in_virtual_time_gaps_are_exact(tmp_path: Path, speed: float, gap: float) -> None:
    scheduler = TestScheduler()
    times: list[float] = []
    source = capture.read(numbered(tmp_path, 10, 0.3), speed=speed, scheduler=scheduler)
    source.subscribe(lambda _: times.append(scheduler.clock))
    scheduler.start()
    assert times == pytest.approx([number * gap for number in range(10)], abs=1.5e-6)


@pytest.mark.parametrize("make", [TestScheduler, VirtualTimeScheduler])
def test_a_hundred_thousand_messages_of_one_moment_take_no_virtual_time(tmp_path: Path, make: Any) -> None:
    scheduler = make()
    began = scheduler.now
    source = capture.read(numbered(tmp_path, 100_000), scheduler=scheduler)
    times = Seen(source.pipe(ops.map(lambda _: scheduler.now)))
    scheduler.start()
    assert times.values == [began] * 100_000


def test_a_day_of_capture_passes_in_no_time(tmp_path: Path) -> None:
    scheduler = TestScheduler()
    seen = Seen(capture.read(numbered(tmp_path, 25, 3 * 3600.0), longest_gap=None, scheduler=scheduler))
    scheduler.advance_to(86_399.0)
    assert len(seen.values) == 8
    scheduler.start()
    assert len(seen.values) == 25
    assert seen.completed


def test_messages_keep_the_time_of_their_capture(tmp_path: Path) -> None:
    messages = ipc.run(capture.read(numbered(tmp_path, 3, 1.0), speed=None).pipe(ops.to_list()))
    assert [message.received_at for message in messages] == [NOON / SECOND + number for number in range(3)]


def test_what_was_captured_out_of_order_does_not_wait(tmp_path: Path) -> None:
    late, early = pcap(HELLO, gap=0), pcap(HELLO, HELLO, HELLO, gap=10 * SECOND)
    scheduler = TestScheduler()
    seen = Seen(capture.read(saved(tmp_path, early + late[24:]), scheduler=scheduler))
    scheduler.advance_to(20.0)
    assert len(seen.values) == 4


def played(folder: Path, times: Sequence[float], **options: Any) -> list[float]:
    """When messages are emitted, in virtual time, that a capture says came at ``times``."""
    path = saved(folder, pcap(*[(at, HELLO) for at in times]))
    scheduler = TestScheduler()
    seen = Seen(
        capture.read(path, scheduler=scheduler, **options).pipe(ops.map(lambda m: (m.received_at, scheduler.clock)))
    )
    scheduler.start()
    assert seen.completed
    assert [at for at, _ in seen.values] == pytest.approx(times, abs=1e-6)  # the times are never made up
    return [round(clock, 5) for _, clock in seen.values]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1000, 1000.3, 500, 500.5, 501], [0, 0.3, 0.3, 0.8, 1.3]),  # the clock was set back, once
        ([1000, 1000.3, 999.8, 1000.1], [0, 0.3, 0.3, 0.6]),  # by a little
        ([1000, 500, 1, 1.5], [0, 0, 0, 0.5]),  # again and again
        ([5, 5.2, 1.7e9, 1.7e9 + 0.2], [0, 0.2, 0.2, 0.4]),  # it was set ahead
        ([5, 5 + 7200, 5 + 7201], [0, 60, 61]),  # it was set ahead by two hours, or all was silent
        ([0, 1.7e9, 1.7e9 + 0.2], [0, 0, 0.2]),  # it began without a time
        ([1.7e9, 0, 1.7e9 + 0.2], [0, 0, 0.2]),  # one in the middle has none
        ([0, 0, 0], [0, 0, 0]),
        ([10, 9.95, 10.05, 10.01, 10.1], [0, 0, 0.05, 0.05, 0.1]),  # out of order
        ([1000, 5000, 1001, 5001, 1002, 5002], [0, 60, 60, 61, 61, 62]),  # two clocks
        ([1000, 1.7e9, 1001, 1002], [0, 0, 0, 1]),  # one time is wrong
    ],
)
def test_a_step_of_the_captures_clock_costs_no_more_than_the_longest_gap_and_keeps_the_gaps_around_it(
    tmp_path: Path, times: list[float], expected: list[float]
) -> None:
    assert played(tmp_path, times) == expected


def test_the_longest_gap_is_chosen_in_the_captures_time(tmp_path: Path) -> None:
    times = [1000, 1001, 1100, 1000 + 86_400]
    assert played(tmp_path, times, longest_gap=10) == [0, 1, 11, 21]
    assert played(tmp_path, times, longest_gap=10, speed=2) == [0, 0.5, 5.5, 10.5]
    assert played(tmp_path, times, longest_gap=0) == [0, 0, 0, 0]
    assert played(tmp_path, times, longest_gap=None) == [0, 1, 100, 86_400]


def test_a_simple_packet_first_is_played_at_once_and_so_is_what_follows(tmp_path: Path) -> None:
    content = section() + interface(RAW) + simple(HELLO) + enhanced(HELLO, NOON // 1000) + simple(HELLO)
    seen = Seen(capture.read(saved(tmp_path, content))).wait_for_end()
    assert [message.received_at for message in seen.values] == [0.0, NOON / SECOND, 0.0]


@pytest.mark.parametrize("longest_gap", [-1, "1", True, float("nan")])
def test_a_longest_gap_that_is_none(tmp_path: Path, longest_gap: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match="longest_gap is a number of seconds"):
        capture.read(tmp_path, longest_gap=longest_gap)


class SteppingClock(TimeoutScheduler):
    """A scheduler that reads a wall clock, which is set an hour ahead or back each time that it is looked at."""

    looks = 0

    @property
    def now(self) -> datetime:
        self.looks += 1
        return datetime.now(UTC) + timedelta(hours=(-1) ** self.looks)


def test_steps_of_the_wall_clock_change_no_pause(tmp_path: Path) -> None:
    began = time.monotonic()
    seen = Seen(capture.read(numbered(tmp_path, 5, 0.05), scheduler=SteppingClock())).wait_for_end()
    assert numbers(seen.values) == list(range(5))
    assert time.monotonic() - began >= 0.2


def test_being_late_once_delays_none_that_follow(tmp_path: Path) -> None:
    scheduler = VirtualClock()
    times: list[float] = []

    def slow(_: ipc.Message) -> None:
        times.append(round(scheduler.to_seconds(scheduler.now), 5))
        if len(times) == 2:
            scheduler.sleep(0.25)

    capture.read(numbered(tmp_path, 6, 0.1), scheduler=scheduler).subscribe(slow)
    scheduler.start()
    assert times == [0.0, 0.1, 0.35, 0.35, 0.4, 0.5]


def test_without_pauses_and_scheduler_it_is_all_there_when_subscribe_returns(tmp_path: Path) -> None:
    seen = Seen(capture.read(numbered(tmp_path, 5000, 60.0), speed=None))
    assert numbers(seen.values) == list(range(5000))
    assert seen.completed
    assert seen.threads == {threading.get_ident()}


def test_with_pauses_and_no_scheduler_it_plays_on_one_thread_of_its_own(tmp_path: Path) -> None:
    with nothing_left_behind():
        seen = Seen(capture.read(numbered(tmp_path, 20, 0.002))).wait_for_end()
        assert numbers(seen.values) == list(range(20))
        assert len(seen.threads) == 1
        assert threading.get_ident() not in seen.threads


def test_in_run_it_plays_on_the_calling_thread(tmp_path: Path) -> None:
    threads: set[int] = set()
    ipc.run(
        capture.read(numbered(tmp_path, 20, 0.002)).pipe(ops.do_action(lambda _: threads.add(threading.get_ident())))
    )
    assert threads == {threading.get_ident()}


def test_on_asyncio_it_plays_on_the_loop(tmp_path: Path) -> None:
    async def main() -> list[int]:
        heard: list[int] = []
        async for message in ipc.to_async_iterable(capture.read(numbered(tmp_path, 20, 0.002))):
            heard.append(int(message.data))  # noqa: PERF401
        last = await capture.read(numbered(tmp_path, 20, 0.002))
        return [*heard, int(last.data)]

    assert asyncio.run(main(), debug=True) == [*range(20), 19]


def test_an_await_on_another_scheduler_is_woken(tmp_path: Path) -> None:
    async def main() -> ipc.Message:
        with ipc.open_channel() as channel:
            return await asyncio.wait_for(
                _awaited(capture.read(numbered(tmp_path, 3, 0.01), scheduler=channel.scheduler)), 10
            )

    async def _awaited(source: rx.Observable[ipc.Message]) -> ipc.Message:
        return await source

    assert asyncio.run(main()).data == b"2"


def test_a_time_operator_has_its_turn_while_a_long_file_is_read(tmp_path: Path) -> None:
    taken = ipc.run(
        capture.read(numbered(tmp_path, 200_000), speed=None).pipe(
            ops.take_until(rx.timer(0.01)), ops.count(), ops.map(int)
        )
    )
    assert 0 < taken < 200_000


@pytest.mark.parametrize("speed", [None, 1.0])
def test_disposing_closes_the_file_and_ends_the_thread(tmp_path: Path, speed: float | None) -> None:
    path = numbered(tmp_path, 5000, 0.001)
    with nothing_left_behind():
        assert numbers(ipc.run(capture.read(path, speed=speed).pipe(ops.take(3), ops.to_list()))) == [0, 1, 2]
        seen = Seen(capture.read(path, speed=speed, scheduler=None if speed else TestScheduler()))
        if speed:
            seen.wait_for_count(3)
        seen.subscription.dispose()


def test_disposing_in_a_long_pause_ends_the_thread_too(tmp_path: Path) -> None:
    path = numbered(tmp_path, 2, gap=50.0)
    with nothing_left_behind():
        seen = Seen(capture.read(path))
        seen.wait_for_count(1)
        seen.subscription.dispose()
    assert len(seen.values) == 1


def test_each_subscription_reads_from_the_start(tmp_path: Path) -> None:
    source = capture.read(numbered(tmp_path, 3), speed=None)
    assert numbers(ipc.run(source.pipe(ops.repeat(3), ops.to_list()))) == [0, 1, 2] * 3


def test_a_subscriber_that_raises_ends_its_own_chain_and_is_reported(
    tmp_path: Path, unhandled: list[BaseException]
) -> None:
    ended: list[Exception] = []
    with nothing_left_behind():
        capture.read(numbered(tmp_path, 3), speed=None).subscribe(divide_by_zero, ended.append)
    assert [type(error) for error in (*ended, *unhandled)] == [ZeroDivisionError] * 2
    unhandled.clear()


def test_a_cut_file_gives_what_is_whole_and_then_the_error(tmp_path: Path) -> None:
    content = numbered(tmp_path, 10).read_bytes()
    seen = Seen(capture.read(saved(tmp_path, content[:-1]), speed=None))
    assert numbers(seen.values) == list(range(9))
    assert isinstance(seen.error, ipc.CaptureCorrupt)
    assert seen.error.offset == len(content) - 16 - 20 - 8 - 1
    assert f"byte {seen.error.offset}: a packet is cut" in str(seen.error)


def test_a_file_that_is_missing_is_told_by_the_observable(tmp_path: Path) -> None:
    seen = Seen(capture.read(tmp_path / "missing.pcap"))
    assert isinstance(seen.error, ipc.CaptureFailed)


@pytest.mark.parametrize("speed", [0, -1, "1", True, float("nan")])
def test_a_speed_that_is_none(tmp_path: Path, speed: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match="how many times as fast"):
        capture.read(tmp_path, speed=speed)


def test_mistakes_are_told_by_the_call() -> None:
    path: Any = None
    with pytest.raises(ipc.InvalidOption):
        capture.read(path)
    with pytest.raises(ipc.InvalidPort):
        capture.read("x", port=0)
    with pytest.raises(ipc.InvalidGroup):
        capture.read("x", group="10.0.0.1")


def test_progress_comes_while_it_reads_and_before_the_end(tmp_path: Path) -> None:
    path = numbered(tmp_path, 5000)
    came: list[capture.Progress | str] = []
    capture.read(path, speed=None, port=PORT, group=GROUP, on_progress=came.append).subscribe(
        on_completed=lambda: came.append("end")
    )
    *running, last, end = came
    positions = [progress.position for progress in running if isinstance(progress, capture.Progress)]
    assert len(positions) > 5
    assert positions == sorted(positions)
    assert last == capture.Progress(path.stat().st_size, path.stat().st_size, 5000, {})
    assert end == "end"


def test_a_raising_progress_function_ends_the_reading(tmp_path: Path) -> None:
    seen = Seen(capture.read(numbered(tmp_path, 3), speed=None, on_progress=divide_by_zero))
    assert isinstance(seen.error, ZeroDivisionError)


def test_what_could_not_be_read_of_a_capture_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ipc.run(capture.read(saved(tmp_path, pcap(HELLO, ipv4(bytes(9), protocol=6))), speed=None))
    assert caplog.messages == []
    ipc.run(capture.read(saved(tmp_path, pcap(ipv4(udp(b"")), HELLO, HELLO, snaplen=30)), speed=None))
    assert "2 datagrams are missing: cut short when captured (snaplen): 2" in caplog.text


def test_the_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    import tracemalloc

    path = saved(tmp_path, pcap(*[ipv4(udp(bytes(60_000)))] * 500))
    tracemalloc.start()
    try:
        assert ipc.run(capture.read(path, speed=None).pipe(ops.count())) == 500
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 8


def gaps(times: list[float]) -> Iterator[float]:
    return (after - before for before, after in pairwise(times))


@pytest.mark.quiet_machine
@pytest.mark.parametrize("home", ["run", "thread"])
def test_in_real_time_gaps_are_right_to_a_millisecond_at_the_median(tmp_path: Path, home: str) -> None:
    path = numbered(tmp_path, 50, 0.004)

    def error() -> float:
        times: list[float] = []
        source = capture.read(path).pipe(ops.do_action(lambda _: times.append(time.monotonic())))
        if home == "run":
            ipc.run(source)
        else:
            Seen(source).wait_for_end()
        return statistics.median(abs(gap - 0.004) for gap in gaps(times))

    assert any(error() < 0.001 for _ in range(5))
