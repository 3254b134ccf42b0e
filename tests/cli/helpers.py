"""The command line as users start it, and what tests need around it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import IO, Any

import msgspec

from ..helpers import PATIENCE, ROOT

PROGRAM = [sys.executable, "-X", "dev", "-W", "error", "-m", "rx_multicast_ipc"]


def start(*arguments: object, stdout: int | IO[bytes] | None = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """The command with pipes on every side, or another standard output."""
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.PIPE, cwd=ROOT, bufsize=0)


def end(process: subprocess.Popen[bytes], text: bytes = b"") -> tuple[int, bytes, str]:
    """Its exit code, output and errors, once it ended by itself."""
    try:
        out, err = process.communicate(text, timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, out or b"", err.decode().replace(os.linesep, "\n")


def command(*arguments: object, text: bytes = b"") -> tuple[int, bytes, str]:
    """Run the command to its end."""
    return end(start(*arguments), text)


def records(out: bytes) -> list[Any]:
    """JSON lines."""
    return [msgspec.json.decode(line) for line in out.splitlines()]


def wait_until_listening(process: subprocess.Popen[bytes]) -> None:
    """Wait for what --verbose says."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith(b"rx-multicast-ipc: listening to "), line


Listen = Callable[..., subprocess.Popen[bytes]]

__all__ = ["PROGRAM", "Listen", "command", "end", "records", "start", "wait_until_listening"]
