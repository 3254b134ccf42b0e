"""A capture comes back as messages, with the gaps it was captured with, in real or virtual time."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc import capture

from ..helpers import Seen, divide_by_zero, nothing_left_behind
from .packets import GROUP, HELLO, NOON, PORT, SECOND, ipv4, pcap, saved, udp


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
    seen = Seen(capture.read(numbered(tmp_path, 25, 3 * 3600.0), scheduler=scheduler))
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

    assert any(error() < 0.001 for _ in range(40))  # a machine that is busy elsewhere gets other chances
