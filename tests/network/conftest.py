"""Three hosts on one segment for each module, healthy again before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..hosts import Network, hosts


@pytest.fixture(scope="module")
def three_hosts() -> Iterator[Network]:
    with hosts(3) as network:
        yield network


@pytest.fixture
def network(three_hosts: Network) -> Iterator[Network]:
    yield three_hosts
    three_hosts.heal()
