"""Namespaces of the kernel, without names: each ends when nobody is in it and no descriptor holds it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

NEW_NET: Final = 0x40000000
"""CLONE_NEWNET of unshare(2)."""

NEW_PID: Final = 0x20000000
"""CLONE_NEWPID of unshare(2)."""

_libc: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def unshare(kind: int) -> None:
    """Move this thread to a new namespace; os.unshare of Python 3.12. Raises ``OSError``."""
    _check(_libc.unshare(kind))


def setns(descriptor: int, kind: int) -> None:
    """Move this thread to the namespace behind a descriptor; os.setns of Python 3.12. Raises ``OSError``."""
    _check(_libc.setns(descriptor, kind))


def in_thread(action: Callable[[], T]) -> T:
    """The result of ``action``, on a thread of its own: what it does to its namespaces ends with it."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class Namespace:
    """A network namespace, held open by a descriptor of this process.

    Whatever ends this process closes the descriptor, and then the kernel takes the namespace down with all that is
    in it. A child process inherits none, but is in the namespace that the thread was in which started it.
    """

    def __init__(self) -> None:
        def make() -> int:
            unshare(NEW_NET)
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        self.descriptor = in_thread(make)

    @property
    def path(self) -> str:
        """Where other processes find it: what ip(8) takes after ``netns``."""
        return f"/proc/{os.readlink('/proc/self')}/fd/{self.descriptor}"

    @property
    def identity(self) -> str:
        """What /proc/PID/ns/net shows for those inside, such as ``net:[4026532201]``."""
        return os.readlink(self.path)

    @contextmanager
    def entered(self) -> Generator[None]:
        """This thread is inside, and so is what it opens and starts there: sockets, threads, processes."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self.descriptor, NEW_NET)
            try:
                yield
            finally:
                setns(here, NEW_NET)
        finally:
            os.close(here)

    def run(self, *command: str, text: str = "") -> str:
        """What a program prints that runs inside and is given ``text``; raises ``RuntimeError`` if it fails."""
        with self.entered():
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}; it was given:\n{text}")
        return done.stdout

    def ip(self, *lines: str) -> None:
        """Have ip(8) do these, all in one process."""
        self.run("ip", "-batch", "-", text="\n".join(lines))

    def set(self, setting: str, value: int) -> None:
        """Set what sysctl(8) sets, such as ``net/ipv4/ip_forward``, if this kernel has it."""
        with self.entered():
            path = Path("/proc/sys") / setting
            if path.exists():
                path.write_text(str(value))

    def close(self) -> None:
        os.close(self.descriptor)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
