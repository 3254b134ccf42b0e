"""Channels on hosts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import rx_multicast_ipc as ipc

from ..hosts import Host


@contextmanager
def channel_on(
    host: Host,
    group: str = ipc.DEFAULT_GROUP,
    *,
    port: int = ipc.DEFAULT_PORT,
    interface: str = "eth0",
    ttl: int | None = None,
) -> Generator[ipc.Channel]:
    """A channel of this process whose sockets and threads are on a host."""
    with host.entered():
        channel = ipc.open_channel(port, group, interface=interface, ttl=ttl)
    with channel:
        yield channel
