"""Processes that take orders as lines of JSON, pinned to a core each or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parent.parent


def pin(core: int) -> None:
    """Keep this process on a core; -1: leave it to the system."""
    if core >= 0:
        os.sched_setaffinity(0, {core})


class Worker:
    """A Python module that runs in a process of its own and answers orders; on one core, or on any."""

    def __init__(self, module: str, *arguments: object, core: int | None, path: str | None = None) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, str(ROOT)]))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments), str(-1 if core is None else core)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd="/",  # else the folder that this runs in comes before ``path``
        )
        try:
            self.answer()
        except EOFError as error:
            self.close()
            raise RuntimeError(f"{module} {arguments} cannot run here") from error

    @property
    def cpu(self) -> float:
        """Seconds of processor that it used: see clock_getcpuclockid(3), whose answer on Linux this is."""
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def close(self) -> None:
        """Let it end by itself, for it may have started a server, and end it if it does not."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
