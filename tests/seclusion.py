"""A network of the tests' own, so that suites that run at the same time on one machine do not hear each other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

from .hosts.namespace import NEW_NET, setns, unshare

_DONE: Final = "RX_MULTICAST_IPC_TESTS_SECLUDED"
"""Set for a suite that a test starts: it stays in the network that was made for it."""

_outside: int | None = None
"""The network that the tests were started in."""


def seclude() -> None:
    """Move this thread, and all that it starts from now on, to a namespace with loopback alone, where that may be.

    Examples and documents use the package's default port, on which others would be heard.
    """
    global _outside
    if sys.platform != "linux" or os.geteuid() != 0 or _DONE in os.environ:
        return
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):
        unshare(NEW_NET)
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
        except (OSError, subprocess.SubprocessError):
            setns(outside, NEW_NET)
        else:
            _outside = outside
            os.environ[_DONE] = "1"
            return
    os.close(outside)


@contextmanager
def outside() -> Generator[None]:
    """This thread, and what it starts, are back in the machine's network: for what has to be fetched."""
    if _outside is None:
        yield
        return
    inside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(_outside, NEW_NET)
        yield
    finally:
        setns(inside, NEW_NET)
        os.close(inside)
