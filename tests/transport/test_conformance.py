"""What every transport promises: the one kit, run on each of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import pytest

from rx_multicast_ipc.testing import FaultyTransport
from rx_multicast_ipc.testing.conformance import RULES, Rig, Rule
from rx_multicast_ipc.transport.udp import kernel_features, pollers

from .. import wine
from ..helpers import THOROUGH
from ..transport_rigs import (
    beside_packets,
    enveloped,
    framed,
    nats,
    nats_together,
    on_a_loop,
    sealed,
    udp,
    virtual,
    zenoh,
    zenoh_together,
)

SOAK = "RX_MULTICAST_IPC_SOAK" in os.environ


def udp_one_by_one() -> Rig:
    """Live UDP as on a machine without batch system calls and epoll, which the test below takes away."""
    return udp()


def udp_on_a_loop() -> Rig:
    return on_a_loop(udp())


def framed_udp_on_a_loop() -> Rig:
    return framed(on_a_loop(udp()))


def sealed_udp_on_a_loop() -> Rig:
    return sealed(on_a_loop(udp()))


def nats_on_a_loop() -> Rig:
    return on_a_loop(nats())


def faultless_udp() -> Rig:
    return udp(FaultyTransport)


def faultless_virtual() -> Rig:
    return virtual(FaultyTransport)


def framed_nats() -> Rig:
    return framed(nats())


def framed_udp() -> Rig:
    return framed(udp())


def framed_virtual() -> Rig:
    return framed(virtual())


def framed_bad_udp() -> Rig:
    """Live UDP of which a tenth gets lost, and a tenth comes twice."""
    return framed(udp(partial(FaultyTransport, loss=0.1, duplication=0.1, seed=1)))


def framed_bad_virtual() -> Rig:
    return framed(virtual(partial(FaultyTransport, loss=0.1, duplication=0.1, reordering=0.1, seed=1)))


def udp_beside_packets() -> Rig:
    return beside_packets(udp())


def virtual_beside_packets() -> Rig:
    return beside_packets(virtual())


def enveloped_udp() -> Rig:
    return enveloped(udp())


def enveloped_virtual() -> Rig:
    return enveloped(virtual())


def framed_enveloped_udp() -> Rig:
    return enveloped(udp(), reliable=True)


def sealed_udp() -> Rig:
    return sealed(udp())


def sealed_virtual() -> Rig:
    return sealed(virtual())


def sealed_nats() -> Rig:
    return sealed(nats())


def sealed_framed_nats() -> Rig:
    return sealed(nats(), reliable=True)


def sealed_zenoh() -> Rig:
    return sealed(zenoh())


def sealed_framed_zenoh() -> Rig:
    return sealed(zenoh(), reliable=True)


def sealed_framed_udp() -> Rig:
    return sealed(udp(), reliable=True)


def sealed_framed_bad_virtual() -> Rig:
    return sealed(virtual(partial(FaultyTransport, loss=0.1, reordering=0.1, seed=1)), reliable=True)


def wine_fault(rig: Callable[[], Rig], rule: Rule) -> str:
    """Which fault of Wine's keeps a transport from a promise; ``""`` if none does."""
    faults = {"only_named_sources_are_heard": "sources", "other_groups_and_ports_are_not_heard": "groups of others"}
    return faults.get(str(rule), "") if "udp" in rig.__name__ else ""


USED = udp, udp_on_a_loop, virtual, framed_udp, nats, zenoh, sealed_udp, sealed_framed_udp
"""What users open, each held to every rule."""

VARIANTS = (
    *(udp_one_by_one, faultless_udp, faultless_virtual, framed_virtual, framed_bad_udp, framed_bad_virtual),
    *(nats_together, zenoh_together, framed_udp_on_a_loop, sealed_udp_on_a_loop, nats_on_a_loop),
    *(udp_beside_packets, virtual_beside_packets, enveloped_udp, enveloped_virtual, framed_enveloped_udp),
    *(sealed_virtual, sealed_framed_bad_virtual, sealed_nats, sealed_zenoh),
)
"""The same in other surroundings, put together otherwise, or as one of several layers."""

SOAKED = (framed_nats, sealed_framed_nats, sealed_framed_zenoh) if SOAK else ()

ROTATION = 4


def rigs_for(number: int) -> tuple[Callable[[], Rig], ...]:
    """Those for a rule: in the short form one in ROTATION of the variants, which are others for the next rule."""
    return (*USED, *(VARIANTS if THOROUGH else VARIANTS[number % ROTATION :: ROTATION]), *SOAKED)


CASES = [
    pytest.param(rig, rule, id=f"{rig.__name__}-{rule}")
    for number, rule in enumerate(RULES)
    for rig in rigs_for(number)
]


@pytest.mark.parametrize(("rig", "rule"), CASES)
def test_the_transport_keeps_the_promise(
    rig: Callable[[], Rig], rule: Rule, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if fault := wine_fault(rig, rule):
        wine.expect_of(request, fault)
    if rig is udp_one_by_one:
        monkeypatch.setattr(kernel_features, "find", lambda: kernel_features.PLAIN)
        monkeypatch.setattr(kernel_features, "_current", kernel_features.PLAIN)
        monkeypatch.setattr(pollers, "new_poller", pollers.Selector)
    rule(rig())
