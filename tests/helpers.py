"""What several tests need."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest
from reactivex import Observable

import rx_multicast_ipc as ipc
from rx_multicast_ipc.receiving.hot_source import HotSource

T = TypeVar("T")

PATIENCE = 60.0 * float(os.environ.get("RX_MULTICAST_IPC_PATIENCE", "1"))
"""Seconds after which a test gives up on something that should have happened; more of them for slow machines."""

THOROUGH = "RX_MULTICAST_IPC_THOROUGH" in os.environ
"""Whether tests take their long form: more random examples, and what costs much and seldom fails alone."""

ROOT = Path(__file__).parent.parent


class Seen(Generic[T]):
    """Subscribes at once, keeps what comes, and lets a test wait for it."""

    def __init__(self, source: Observable[T]) -> None:
        self.values: list[T] = []
        self.error: Exception | None = None
        self.completed = False
        self.threads: set[int] = set()
        self._changed = threading.Condition()
        self.subscription = source.subscribe(self._next, self._error, self._completed)

    def wait_for(self, condition: Callable[[Seen[T]], object]) -> Seen[T]:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), PATIENCE), f"still waiting, with {self}"
        return self

    def wait_for_count(self, count: int) -> list[T]:
        return self.wait_for(lambda seen: len(seen.values) >= count).values

    def wait_for_end(self) -> Seen[T]:
        return self.wait_for(lambda seen: seen.completed or seen.error)

    def _next(self, value: T) -> None:
        with self._changed:
            self.values.append(value)
            self.threads.add(threading.get_ident())
            self._changed.notify_all()

    def _error(self, error: Exception) -> None:
        with self._changed:
            self.error = error
            self._changed.notify_all()

    def _completed(self) -> None:
        with self._changed:
            self.completed = True
            self._changed.notify_all()

    def __repr__(self) -> str:
        return f"<Seen {len(self.values)} values, error {self.error!r}, completed {self.completed}>"


def wait_until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for something that gives no sign of its own, such as another thread's end."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def is_observed(source: Observable[Any]) -> bool:
    """Whether anybody is subscribed to a channel's messages or batches."""
    assert isinstance(source, HotSource)
    return source.observed


def divide_by_zero(*_: object) -> None:
    """A subscriber or action that raises."""
    raise ZeroDivisionError


def open_descriptors() -> int:
    if sys.platform == "win32":
        handles = ctypes.c_uint32()
        assert ctypes.windll.kernel32.GetProcessHandleCount(ctypes.c_void_p(-1), ctypes.byref(handles))
        return handles.value
    return len(os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"))


@contextmanager
def nothing_left_behind() -> Generator[None]:
    """The block ends with no more threads and descriptors than it began with, give or take a moment."""
    threads, descriptors = threading.active_count(), open_descriptors()
    yield
    wait_until(lambda: threading.active_count() <= threads and open_descriptors() <= descriptors)


def run(source: Observable[T]) -> T:
    """The last value, soon."""
    return ipc.run(source, timeout=PATIENCE)


def read_all(channel: ipc.Channel, sender: ipc.Channel) -> None:
    """Wait until ``channel`` has read what was sent so far, at its group's socket and at its own."""
    run(sender.broadcast("end"))
    run(channel.wait_for_message(lambda m: m.data == b"end" and not m.direct))
    address, port = channel.sender_address
    run(sender.send("end", port, address))
    run(channel.wait_for_message(lambda m: m.data == b"end" and m.direct))


def raw_sender() -> socket.socket:
    """A plain socket that sends to loopback multicast, as another program would."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(
        socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(4) + socket.inet_aton("127.0.0.1") + struct.pack("=i", 1)
    )
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
    sender.bind(("127.0.0.1", 0))
    return sender


def python(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Another Python process that runs ``code`` in development mode, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def loaded_by(program: str) -> set[str]:
    """The modules that are there once another Python process has run ``program``."""
    return set(finish(python(f"import sys\n{program}\nprint(*sys.modules)")).split())


def interrupt(process: subprocess.Popen[Any]) -> None:
    """Ctrl-C for that process."""
    if sys.platform == "win32":
        process.kill()
        process.communicate()
        pytest.skip("Windows sends Ctrl-C to every process of a console, not to one")
    process.send_signal(signal.SIGINT)


def terminal() -> tuple[int, int]:
    """Descriptors of a terminal: of who looks at it, and of the program in it."""
    if sys.platform == "win32":
        pytest.skip("Python opens no pseudo-terminal on Windows")
    return os.openpty()


def shown_on(ours: int) -> str:
    """All that the program in a terminal wrote, until it let go of it, or more than there is."""
    shown = b""
    with suppress(OSError):  # Linux says so when the other end is closed
        while chunk := os.read(ours, 1 << 16):
            shown += chunk
    os.close(ours)
    return shown.decode()


def finish(process: subprocess.Popen[str], text: str = "") -> str:
    """What the process printed, once it ended well and with nothing on stderr."""
    try:
        out, err = process.communicate(text, timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")
    return out


def in_namespace(script: str, *arguments: object) -> list[str]:
    """A command that runs a shell script in a network namespace with only loopback up, as an unprivileged user."""
    return [
        *("unshare", "-n"),
        *("sh", "-c", f"ip link set lo up && {script}", "sh", *map(str, arguments)),
    ]


def namespaces() -> bool:
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(in_namespace("true"), capture_output=True, timeout=PATIENCE, check=False).returncode == 0
    return False


thorough = pytest.mark.skipif(not THOROUGH, reason="long: RX_MULTICAST_IPC_THOROUGH=1 runs it, as .ci/run does")
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals, pipes or modes of this kind")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells this")
needs_namespaces = pytest.mark.skipif(not namespaces(), reason="needs the right to make network namespaces, and ip(8)")

__all__ = ["ipc"]
