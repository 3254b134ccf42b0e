from __future__ import annotations

from collections.abc import Iterator

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing.conformance.rig import free_port
from rx_multicast_ipc.unhandled import UnhandledErrorHook


@pytest.fixture
def port() -> int:
    """A UDP port that nobody uses."""
    return free_port()


@pytest.fixture
def channel(port: int) -> Iterator[ipc.Channel]:
    """A channel on loopback."""
    with ipc.open_channel(port) as opened:
        yield opened


@pytest.fixture(autouse=True)
def unhandled() -> Iterator[list[BaseException]]:
    """What subscribers raised and nobody handled. A test that expects such errors clears the list."""
    errors: list[BaseException] = []
    previous: UnhandledErrorHook = ipc.set_unhandled_error_hook(errors.append)
    yield errors
    ipc.set_unhandled_error_hook(previous)
    assert errors == []
