"""A network of the tests' own, so that suites that run at the same time on one machine do not hear each other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

from .hosts.namespace import NEW_NET, setns, unshare

_OUTSIDE: Final = "RX_MULTICAST_IPC_TESTS_OUTSIDE"
"""Where the network is that the tests were started in. Set for a suite that a test starts, which stays where it is, and
for the workers of pytest-xdist, each of which gets a network of its own."""

_outside: int | None = None
"""The network that the tests were started in."""


def seclude(*, worker: bool) -> None:
    """Move this thread, and all that it starts from now on, to a namespace with loopback alone, where that may be.

    Examples and documents use the package's default port, on which others would be heard.

    Args:
        worker: whether this is one of several processes that share a suite.
    """
    global _outside
    known = os.environ.get(_OUTSIDE)
    if sys.platform != "linux" or os.geteuid() != 0 or (known and not worker):
        return
    outside = os.open(known or "/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):
        unshare(NEW_NET)
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
        except (OSError, subprocess.SubprocessError):
            setns(outside, NEW_NET)
        else:
            _outside = outside
            os.environ[_OUTSIDE] = f"/proc/{os.getpid()}/fd/{outside}"
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
