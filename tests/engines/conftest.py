from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..nats_servers import NatsServer
from ..transport_rigs import nats_server


@pytest.fixture
def server() -> NatsServer:
    """A server that other tests use, too."""
    return nats_server()


@pytest.fixture
def own_server() -> Iterator[NatsServer]:
    """A server to be killed."""
    with NatsServer() as started:
        yield started


@pytest.fixture
def streams() -> Iterator[NatsServer]:
    """A server that keeps streams, in files."""
    with NatsServer(jetstream=True) as started:
        yield started
