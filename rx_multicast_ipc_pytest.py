"""pytest's plugin: the fixtures ``marbles``, ``virtual_network`` and ``on_virtual_network``, registered by the package.

It stands beside the package, not in it: pytest imports it at every start, in every project that has the package
installed, and a module in the package would load the package's root, and with it reactivex, each time.
``-p no:rx_multicast_ipc`` turns it off.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rx_multicast_ipc.testing import Marbles, VirtualNetwork

_MARBLES = pytest.StashKey["Marbles"]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "marbles(frame=1.0): how many seconds one character of the fixture marbles stands for."
    )
    config.addinivalue_line(
        "markers", "virtual_network(latency=0.0): what the fixture virtual_network is made with, as VirtualNetwork is."
    )


@pytest.fixture
def marbles(request: pytest.FixtureRequest) -> Generator[Marbles]:
    """Streams from text, and expectations, in virtual time; run and checked when the test's function returns.

    ``@pytest.mark.marbles(frame=0.1)``, on a test, a class or a module, makes one character 100 ms.
    """
    from rx_multicast_ipc.testing import Marbles

    made = Marbles(**_options(request, "marbles"))
    request.node.stash[_MARBLES] = made
    yield made
    made.dispose()
    del request.node.stash[_MARBLES]  # tests stay for the whole session; what they tested need not


@pytest.fixture
def virtual_network(request: pytest.FixtureRequest, marbles: Marbles) -> VirtualNetwork:
    """A network in the virtual time of the fixture ``marbles``.

    ``@pytest.mark.virtual_network(latency=0.2)``, on a test, a class or a module, says what it is made with.
    """
    from rx_multicast_ipc.testing import VirtualNetwork

    return VirtualNetwork(marbles.scheduler, **_options(request, "virtual_network"))


@pytest.fixture
def on_virtual_network(virtual_network: VirtualNetwork) -> Generator[str]:
    """Puts the process on the fixture ``virtual_network`` while the test runs, as a host whose address it is.

    What calls ``messages``, ``broadcast``, ``open_channel``, ``with_socket`` and the others of the package directly is
    tested so without a change. See :meth:`rx_multicast_ipc.testing.VirtualNetwork.this_process`.
    """
    with virtual_network.this_process() as address:
        yield address


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run and check while the test is still being called, so that what differs is its failure."""
    __tracebackhide__ = True
    result = yield
    made = item.stash.get(_MARBLES, None)
    if made is not None:
        made.close()
    return result


def _options(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    mark = request.node.get_closest_marker(name)
    if mark is None:
        return {}
    if mark.args:
        raise pytest.UsageError(f"@pytest.mark.{name} takes keywords only, not {mark.args!r}")
    return dict(mark.kwargs)
