"""Every scenario goes on a virtual network as it does on live sockets."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from ..helpers import ROOT, in_namespace, needs_linux, needs_namespaces
from .scenarios import SCENARIOS, Live, Scenario, Virtual, network_scenarios, play

NETWORK = (
    "ip link add eth0 type veth peer name peer0; ip link set peer0 up; ip addr add 10.0.0.1/8 dev eth0; "
    "ip link set eth0 up; ip route add 224.0.0.0/4 dev eth0; exec "
)


@needs_linux
@pytest.mark.parametrize(("scenario", "expected"), SCENARIOS.values(), ids=SCENARIOS)
def test_on_one_machine(scenario: Scenario, expected: list[Any], unhandled: list[BaseException]) -> None:
    virtual, live = play(Virtual(), scenario, expected), play(Live(), scenario, expected)
    unhandled.clear()
    assert virtual == live == expected


@needs_namespaces
def test_on_a_host_with_several_interfaces() -> None:
    command = in_namespace(f'{NETWORK} "$@"', sys.executable, "-m", "tests.testing.scenarios")
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stderr
    seen: dict[str, tuple[list[Any], list[Any]]] = json.loads(played.stdout)
    assert seen.keys() == network_scenarios().keys()
    assert any(live for live, _ in seen.values())
    assert {name: f"live {live}, virtual {virtual}" for name, (live, virtual) in seen.items() if live != virtual} == {}
