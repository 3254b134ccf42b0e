"""Where a test gets its hosts from."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from .network import Network


@contextmanager
def hosts(count: int) -> Generator[Network]:
    """A network with so many hosts on one segment, which are what it iterates over; they have an ``eth0`` each.

    Skips the test that asks where it cannot be had.
    """
    if sys.platform != "linux":
        pytest.skip("hosts are network namespaces, which Linux alone has")
    if shutil.which("ip") is None:
        pytest.skip("hosts need ip(8)")
    try:
        network = Network()
    except PermissionError as error:
        pytest.skip(f"hosts need the right to make network namespaces: root, or a run under unshare -Urn ({error})")
    try:
        for _ in range(count):
            network.add_host()
        yield network
    finally:
        network.close()
