"""Captures that tcpdump(8) makes, in a network namespace."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import capture

from ..helpers import PATIENCE, ROOT, in_namespace, raw_sender, wait_until
from .packets import PORT

needs_tcpdump = pytest.mark.skipif(not shutil.which("tcpdump"), reason="needs tcpdump(8)")

TCPDUMP_SEES = [str(number).encode() * number for number in range(50)] + [bytes(60_000)]
"""What is said on the default group, one by one, while tcpdump listens."""


def capture_with_tcpdump(path: Path, *options: str) -> None:
    """Make such a capture. Something else is said on another group and port, too."""
    code = f"from tests.capture.tcpdump import talk; talk({str(path)!r}, {options!r})"
    done = subprocess.run(
        in_namespace('exec "$@"', sys.executable, "-c", code),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=3 * PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def talk(path: str, options: tuple[str, ...]) -> None:
    """In the namespace: talk until tcpdump has written all of it."""
    ipc.open_channel().close()  # the first one tries the kernel's features, with datagrams on loopback
    tcpdump = subprocess.Popen(
        ["tcpdump", "-Z", "root", "-U", "-n", "-w", path, *options, "udp"], stderr=subprocess.PIPE, text=True
    )
    stderr = tcpdump.stderr
    assert stderr is not None
    wait_until(lambda: "listening on" in stderr.readline())
    with raw_sender() as sender, ipc.open_channel() as channel:
        sender.sendto(b"elsewhere", ("224.0.2.9", 5))
        for data in TCPDUMP_SEES:
            ipc.run(channel.broadcast(data))
    wait_until(lambda: _so_far(path)[-1:] == TCPDUMP_SEES[-1:])
    tcpdump.send_signal(signal.SIGINT)
    tcpdump.communicate(timeout=PATIENCE)


def _so_far(path: str) -> list[bytes]:
    found: list[bytes] = []
    try:
        with capture.Reader(path, port=PORT) as reader:
            found.extend(message.data for message, _ in reader)
    except ipc.CaptureCorrupt:  # it is being written
        pass
    return found
