"""The line that shows how far something has come, and colours: as the terminal takes them."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from rx_multicast_ipc.cli import output, progress_line
from rx_multicast_ipc.cli.output import takes_colours
from rx_multicast_ipc.cli.progress_line import Status

from ..helpers import terminal


@contextmanager
def narrow(monkeypatch: pytest.MonkeyPatch, term: str = "xterm") -> Generator[list[bytes]]:
    """Within it, standard error is a terminal of 20 columns; afterwards, what somebody saw there is in the list."""
    ours, theirs = terminal()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    seen: list[bytes] = []
    with monkeypatch.context() as patched, open(theirs, "w") as stderr:
        patched.setattr(progress_line, "_PAUSE", 0.0)
        patched.setattr(sys, "stderr", stderr)
        patched.setenv("TERM", term)
        yield seen
        stderr.write("after")
        stderr.flush()
        shown = os.read(ours, 1000)
        while not shown.endswith(b"after"):  # the kernel brings it in parts
            shown += os.read(ours, 1000)
        seen.append(shown)
    os.close(ours)


def test_it_stays_on_one_line_however_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    with narrow(monkeypatch) as seen:
        status = Status()
        status.show("x" * 100)
        status.clear()
    assert seen == [b"\r" + b"x" * 19 + b"\x1b[K\r\x1b[Kafter"]


def test_a_terminal_that_writes_over_nothing_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with narrow(monkeypatch, "dumb") as seen:
        status = Status()
        status.show("how far")
        status.clear()
        assert status.watched
    assert seen == [b"after"]


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def yes(*_: Any) -> bool:
        return True

    monkeypatch.setattr(output, "is_terminal", yes)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert takes_colours()
    monkeypatch.setenv(variable, value)
    assert not takes_colours()
