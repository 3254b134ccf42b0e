"""Surroundings that do not pass multicast on: containers, WSL 2, environment variables."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ...transport.udp import kernel_features
from ...validation.environment import INTERFACE as INTERFACE_VARIABLE
from ...validation.numeric_address import Ip
from ...validation.secrets_in_urls import masked
from . import fixes
from .check_context import Examination
from .finding import Finding, note, ok, warning


def check_surroundings(examination: Examination) -> Iterator[Finding]:
    """Containers, WSL2, and the environment variable."""
    system, chosen = examination.system, examination.chosen
    container = system.container()
    if container:
        bridged = [interface.name for interface in chosen if any(map(_is_dockers, interface.addresses or ()))]
        say = warning if bridged else note
        where = f", and {' and '.join(bridged)} is on its bridge" if bridged else ""
        yield say(
            "container",
            container,
            f"this is a container of {container}{where}",
            "containers on one bridge hear each other; multicast passes no bridge to other machines",
            "docker run --network host …  # or a macvlan network: docker network create -d macvlan -o parent=eth0 lan",
        )
    if system.is_wsl2():
        say = warning if chosen else note
        yield say(
            "wsl2",
            "WSL2",
            "this is Linux on Windows (WSL2)",
            "its network is behind a translation (NAT) that passes no multicast, unless it is mirrored",
            "in %UserProfile%\\.wslconfig: [wsl2] networkingMode=mirrored; then: wsl --shutdown",
        )
    named = os.environ.get(INTERFACE_VARIABLE)
    if named and not examination.named:
        yield note(
            "environment",
            INTERFACE_VARIABLE,
            f"{INTERFACE_VARIABLE} is {masked(named)}",
            "programs that name no interface use it; it was not examined, since that sends to the network",
            *(f"rx-multicast-ipc doctor --interface {name.strip()}" for name in named.split(",")),
        )


def check_fast_path(examination: Examination) -> Iterator[Finding]:
    """What of the kernel's fast path works here, found out by trying it."""
    try:
        features = kernel_features.find()
    except OSError as error:
        yield warning(
            *("fast-path", "kernel", f"it cannot be tried: {error}", "no channel can be opened"),
            *fixes.more_descriptors(examination.platform),
        )
        return
    if features.missing and examination.platform == "linux":
        yield note(
            "fast-path",
            "kernel",
            f"without {', '.join(features.missing)}: the kernel, or a sandbox, refuses it; used: {features}",
            "everything works, at a higher cost for each message",
        )
    else:
        yield ok("fast-path", "kernel", f"used: {features}")


def _is_dockers(address: str) -> bool:
    """Whether it is of 172.16.0.0/12, of which Docker takes its bridges' networks."""
    ip = Ip.parse(address)
    return ip is not None and len(ip.packed) == 4 and ip.packed[0] == 172 and ip.packed[1] & 0xF0 == 16
