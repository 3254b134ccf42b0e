"""What every transport promises: the one kit, run on each of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from rx_multicast_ipc.testing import FaultyTransport
from rx_multicast_ipc.testing.conformance import RULES, Rig, Rule
from rx_multicast_ipc.transport.udp import io_thread, kernel_features

from .. import wine
from ..transport_rigs import framed, udp, virtual


def udp_one_by_one() -> Rig:
    """Live UDP as on a machine without batch system calls and epoll, which the test below takes away."""
    return udp()


def faultless_udp() -> Rig:
    return udp(FaultyTransport)


def faultless_virtual() -> Rig:
    return virtual(FaultyTransport)


def framed_udp() -> Rig:
    return framed(udp())


def framed_virtual() -> Rig:
    return framed(virtual())


def framed_bad_udp() -> Rig:
    """Live UDP of which a tenth gets lost, and a tenth comes twice."""
    return framed(udp(partial(FaultyTransport, loss=0.1, duplication=0.1, seed=1)))


def framed_bad_virtual() -> Rig:
    return framed(virtual(partial(FaultyTransport, loss=0.1, duplication=0.1, reordering=0.1, seed=1)))


WINE_FAULTS = {
    "other_groups_and_ports_are_not_heard": ("groups of others", (udp, udp_one_by_one, faultless_udp)),
    "only_named_sources_are_heard": ("sources", (udp, udp_one_by_one, faultless_udp, framed_udp, framed_bad_udp)),
}
"""What cannot be kept under Wine, and where."""


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize(
    "rig",
    [
        *(udp, udp_one_by_one, virtual, faultless_udp, faultless_virtual),
        *(framed_udp, framed_virtual, framed_bad_udp, framed_bad_virtual),
    ],
    ids=lambda rig: rig.__name__,
)
def test_the_transport_keeps_the_promise(
    rig: Callable[[], Rig], rule: Rule, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    fault, rigs = WINE_FAULTS.get(str(rule), ("", ()))
    if rig in rigs:
        wine.expect_of(request, fault)
    if rig is udp_one_by_one:
        monkeypatch.setattr(kernel_features, "find", lambda: kernel_features.PLAIN)
        monkeypatch.setattr(kernel_features, "_current", kernel_features.PLAIN)
        monkeypatch.setattr(io_thread, "_new_poller", io_thread._Selector)  # pyright: ignore[reportPrivateUsage]
    rule(rig())
