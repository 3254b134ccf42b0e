"""The command line as users start it, and what tests need around it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from tempfile import TemporaryFile
from threading import Thread
from typing import IO, Any
from unittest.mock import patch

import msgspec

from rx_multicast_ipc.cli.main import main

from ..helpers import PATIENCE, ROOT, THOROUGH

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
    """Run the command to its end: in this process, and when tests take their long form in one of its own."""
    return end(start(*arguments), text) if THOROUGH else call(*arguments, text=text)


def call(*arguments: object, text: bytes = b"") -> tuple[int, bytes, str]:
    """The same in this process: what the package logs meanwhile, whoever is meant, stands among the errors."""
    with ExitStack() as stack:
        reading, writing = os.pipe()
        writer = Thread(target=_write, args=(writing, text))
        writer.start()
        stack.callback(writer.join)
        given = stack.enter_context(open(reading, "rb"))
        out, err = stack.enter_context(TemporaryFile()), stack.enter_context(TemporaryFile())
        for number, name, file in ((0, "stdin", given), (1, "stdout", out), (2, "stderr", err)):
            stack.enter_context(_standard(number, name, file))
        code = main([*map(str, arguments)])
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for file in (out, err):
            file.seek(0)
        return code, out.read(), err.read().decode().replace(os.linesep, "\n")


@contextmanager
def _standard(number: int, name: str, file: IO[bytes]) -> Generator[None]:
    """``file`` is this process's standard stream, the descriptor and what ``sys`` has of it."""
    kept = os.dup(number)
    os.dup2(file.fileno(), number)
    try:
        mode, errors = ("r", "strict") if name == "stdin" else ("w", "backslashreplace")
        with (
            open(number, mode, encoding="utf-8", errors=errors, closefd=False) as stream,
            patch.object(sys, name, stream),
        ):
            yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def _write(descriptor: int, text: bytes) -> None:
    with suppress(BrokenPipeError), open(descriptor, "wb") as pipe:
        pipe.write(text)


def records(out: bytes) -> list[Any]:
    """JSON lines."""
    return [msgspec.json.decode(line) for line in out.splitlines()]


def wait_until_listening(process: subprocess.Popen[bytes]) -> None:
    """Wait for what --verbose says."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith(b"rx-multicast-ipc: listening to "), line


Listen = Callable[..., subprocess.Popen[bytes]]

__all__ = ["PROGRAM", "Listen", "call", "command", "end", "records", "start", "wait_until_listening"]
