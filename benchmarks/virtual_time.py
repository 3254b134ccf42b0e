"""Virtual time against reactivex's own, and the plugin's part in pytest's start: ``python -m benchmarks.virtual_time``.

Contenders alternate, and what is compared is the processor's time, so that other processes disturb little.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from reactivex.scheduler import VirtualTimeScheduler

from rx_multicast_ipc.testing import VirtualClock

ACTIONS = 50_000
CLOCKS: tuple[Callable[[], VirtualTimeScheduler], ...] = (VirtualClock, VirtualTimeScheduler)
STARTS = {"with the plugin": (), "without": ("-p", "no:rx_multicast_ipc")}


def action(clock: Callable[[], VirtualTimeScheduler]) -> float:
    """Microseconds to schedule and run one action."""
    scheduler = clock()
    started = time.process_time()
    for number in range(ACTIONS):
        scheduler.schedule_relative(number * 0.001, lambda _scheduler, _state: None)
    scheduler.advance_to(ACTIONS * 0.001)
    return (time.process_time() - started) / ACTIONS * 1e6


def start(arguments: tuple[str, ...]) -> float:
    """Milliseconds of processor time that pytest takes for one empty test."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # as installed: compiled once
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_empty.py").write_text("def test_empty():\n    pass\n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def measure(passes: int) -> dict[str, dict[str, list[float]]]:
    """Microseconds an action by clock, and milliseconds of pytest's start, one a pass; the first is not counted."""
    actions: dict[str, list[float]] = {clock.__name__: [] for clock in CLOCKS}
    starts: dict[str, list[float]] = {name: [] for name in STARTS}
    for turn in range(passes + 1):
        for clock in CLOCKS:
            actions[clock.__name__].append(action(clock))
        for name, arguments in sorted(STARTS.items(), reverse=bool(turn % 2)):
            starts[name].append(start(arguments))
    return {
        "us an action": {name: values[1:] for name, values in actions.items()},
        "ms of start": {name: values[1:] for name, values in starts.items()},
    }


if __name__ == "__main__":
    for unit, found in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20).items():
        print(unit, {name: round(median(values), 2) for name, values in found.items()})
        one, other = found.values()
        print("  median of ratios", round(median(b / a for a, b in zip(one, other, strict=True)), 3))
        print("  median of differences", round(median(a - b for a, b in zip(one, other, strict=True)), 2))
