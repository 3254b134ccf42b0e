"""npm's multicast-ipc, which this package succeeds, in processes of its own."""

from __future__ import annotations

import queue
import shutil
import subprocess
import threading
from base64 import b64decode
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import pytest

import rx_multicast_ipc as ipc

from .helpers import PATIENCE
from .seclusion import outside

NPM_PACKAGE: Final = "multicast-ipc@1.0.5"

# Port and group are given, for without them npm's broadcast rejects. While npm's waitForMessage is not waiting,
# messages are lost to it, and it stops for a moment after each that its filter refuses: hence "listening".
NODE_SCRIPT: Final = """
const ipc = require('multicast-ipc');
const is = (text) => (message) => message.toString() === text;
const isNot = (text) => (message) => message.toString() !== text;
const tell = (heard) => console.log('heard', heard.address, heard.port, heard.message.toString('base64'));
ipc.withSocket(%d, '%s', (api) => {
  api._socket.on('newListener', (event) => { if (event === 'message') console.log('listening'); });
  %s
}).catch((error) => { console.error(error); process.exitCode = 1; });
"""


def install(folder: Path) -> Path:
    """Have npm install the package there, and say where: what NODE_PATH has to be. Skips where that fails."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs Node.js, and there is no {tool} here")
    command = ["npm", "install", f"--prefix={folder}", NPM_PACKAGE, "--ignore-scripts", "--no-audit", "--no-fund"]
    command += ["--loglevel=error", "--fetch-retries=1", "--prefer-offline"]
    try:
        with outside():
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm install {NPM_PACKAGE} did not end (offline?)")
    if done.returncode != 0:
        reason = done.stderr.partition("\n")[0] or f"exit code {done.returncode}"
        pytest.skip(f"npm install {NPM_PACKAGE} failed (offline?): {reason}")
    return folder / "node_modules"


def start_here(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class Heard(NamedTuple):
    """What npm's waitForMessage gave."""

    data: bytes
    sender: tuple[str, int]


class Node:
    """A Node process, and what it prints. ``body`` is the callback of npm's withSocket."""

    def __init__(self, body: str, start: Callable[[Sequence[str]], subprocess.Popen[str]] = start_here) -> None:
        self._process = start(["node", "-e", NODE_SCRIPT % (ipc.DEFAULT_PORT, ipc.DEFAULT_GROUP, body)])
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def line(self) -> str:
        """The next line; a note in parentheses if there is none."""
        try:
            return self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            return f"(Node printed nothing for {PATIENCE:g} s)"

    def expect_listening(self) -> None:
        """Wait until it is ready for one message."""
        assert self.line() == "listening"

    def heard(self) -> Heard:
        """Wait for the message that it tells of."""
        line = self.line()
        assert line.startswith("heard ")
        _, address, port, data = line.split(" ", 3)
        return Heard(b64decode(data), (address, int(port)))

    def exit_code(self) -> int:
        """Wait for its end."""
        return self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.put(line.removesuffix("\n"))
        self._lines.put("(Node ended)")
