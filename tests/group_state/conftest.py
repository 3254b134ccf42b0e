from __future__ import annotations

import pytest

from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork


@pytest.fixture
def network(clock: VirtualClock) -> VirtualNetwork:
    """A network in the virtual time of ``clock``."""
    return VirtualNetwork(clock, latency=0.001)
