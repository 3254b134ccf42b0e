"""What proc(5) says is read right, on a machine made of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rx_multicast_ipc.cli.doctor.check_context import Examination
from rx_multicast_ipc.cli.doctor.environment_checks import check_fast_path, check_surroundings
from rx_multicast_ipc.cli.doctor.finding import Finding, Severity
from rx_multicast_ipc.cli.doctor.port_checks import check_receive_buffer
from rx_multicast_ipc.cli.doctor.system_facts import Holder, Interface, System
from rx_multicast_ipc.transport.udp import kernel_features
from rx_multicast_ipc.transport.udp.kernel_features import KernelFeatures

from ...helpers import needs_linux

pytestmark = needs_linux

UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  640: 010200E0:EEA0 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 901 2 0000000000000000 0
  641: 00000000:EEA0 00000000:0000 07 00000000:00000A00 00:00000000 00000000     0        0 902 2 0000000000000000 7
  642: 00000000:EEA1 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 903 2 0000000000000000 0
"""
UDP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  640: 00000000000000000000000000000000:EEA0 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 904 2 0000000000000000 0
"""  # noqa: E501
IGMP = """\
Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010200E0     2 0:00000000\t\t0
2\teth0      :     2      V3
\t\t\t\t010200E0     1 0:00000000\t\t0
\t\t\t\t010000E0     1 0:00000000\t\t0
"""
IGMP6 = """\
1    lo              ff020000000000000000000000000001     1 0000000C 0
2    eth0            ff020000000000000000000000010007     3 00000004 0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "net/udp": UDP,
        "net/udp6": UDP6,
        "net/igmp": IGMP,
        "net/igmp6": IGMP6,
        "sys/net/core/rmem_max": "212992\n",
        "version": "Linux version 6.1.0 (gcc 12)\n",
        "1/cgroup": "0::/init.scope\n",
        "77/cmdline": "/usr/bin/node\0server.js\0",
    }.items():
        path = tmp_path / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "proc/77/fd").mkdir()
    (tmp_path / "proc/77/fd/3").symlink_to("socket:[902]")
    return tmp_path


def examination(
    root: Path, *, receive_buffer: int = 65_536, chosen: tuple[Interface, ...] = (), named: tuple[str, ...] = ()
) -> Examination:
    return Examination(System(root), 61088, "224.0.2.1", None, receive_buffer, named, chosen, chosen)


def test_who_is_bound_to_a_port(root: Path) -> None:
    assert System(root).holders(61088) == [
        Holder("224.0.2.1", 1000, "", 0, 0),
        Holder("0.0.0.0", 0, "node server.js (process 77)", 7, 2560),
        Holder("::", 0, "", 0, 0),
    ]
    assert System(root).holders(1) == []


def test_which_interfaces_joined_a_group(root: Path) -> None:
    assert System(root).members("224.0.2.1") == {"lo": 2, "eth0": 1}
    assert System(root).members("ff02::1:7") == {"eth0": 3}
    assert System(root).members("239.1.1.1") == {}


def test_a_machine_without_proc_tells_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    system = System(tmp_path)
    assert (system.holders(1), system.members("224.0.2.1"), system.receive_buffer_limit()) == ([], {}, None)
    assert (system.container(), system.is_wsl2(), system.strict_filter("eth0")) == ("", False, False)


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        (".dockerenv", "", "Docker"),
        ("run/.containerenv", "", "Podman"),
        ("proc/1/cgroup", "12:cpu:/docker/0123\n", "Docker"),
        ("proc/1/cgroup", "0::/kubepods/burstable/pod1\n", "Kubernetes"),
        ("proc/1/cgroup", "0::/lxc.payload.box\n", "LXC"),
    ],
)
def test_containers_are_recognised(root: Path, path: str, text: str, kind: str) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text(text)
    assert System(root).container() == kind


def surroundings(examined: Examination) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_surroundings(examined)}


def test_an_ordinary_machine_has_no_surroundings(root: Path) -> None:
    assert surroundings(examination(root)) == {}


def test_a_container_is_a_warning_where_its_bridge_was_named(root: Path) -> None:
    (root / ".dockerenv").touch()
    assert surroundings(examination(root))["container"].severity is Severity.NOTE
    elsewhere, bridge = Interface(2, "eth0", addresses=("10.1.2.3",)), Interface(3, "eth1", addresses=("172.17.0.2",))
    assert surroundings(examination(root, chosen=(elsewhere,)))["container"].severity is Severity.NOTE
    found = surroundings(examination(root, chosen=(elsewhere, bridge)))["container"]
    assert found.severity is Severity.WARNING
    assert "eth1 is on its bridge" in found.seen
    assert "--network host" in found.fix[0]


def test_wsl2_is_a_warning_where_a_network_was_named(root: Path) -> None:
    (root / "proc/version").write_text("Linux version 5.15.90.1-microsoft-standard-WSL2\n")
    assert surroundings(examination(root))["wsl2"].severity is Severity.NOTE
    found = surroundings(examination(root, chosen=(Interface(2, "eth0"),)))["wsl2"]
    assert found.severity is Severity.WARNING
    assert "mirrored" in found.fix[0]


def test_the_environments_interfaces_are_noted_and_not_examined(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RX_MULTICAST_IPC_INTERFACE", "eth0, eth1")
    found = surroundings(examination(root))["environment"]
    assert [step.split()[-1] for step in found.fix] == ["eth0", "eth1"]
    assert surroundings(examination(root, named=("eth0",))) == {}


@pytest.mark.parametrize(("asked", "severity"), [(212_992, Severity.OK), (212_993, Severity.WARNING)])
def test_the_limit_of_receive_buffers_is_held_against_what_is_asked_for(
    root: Path, asked: int, severity: Severity
) -> None:
    (found,) = check_receive_buffer(examination(root, receive_buffer=asked))
    assert found.severity is severity
    assert f"{asked} bytes" in found.seen or f"{asked} are asked for" in found.seen
    if severity is Severity.WARNING:
        assert found.fix[0] == f"sudo sysctl -w net.core.rmem_max={asked}"
        assert ("root" in found.seen) == (os.geteuid() == 0)


def test_strict_filters_are_read(root: Path) -> None:
    for name, value in (("all", 0), ("eth0", 1), ("eth1", 2)):
        path = root / f"proc/sys/net/ipv4/conf/{name}/rp_filter"
        path.parent.mkdir(parents=True)
        path.write_text(f"{value}\n")
    assert [System(root).strict_filter(name) for name in ("eth0", "eth1")] == [True, False]


@pytest.mark.parametrize(
    ("features", "severity", "seen"),
    [
        (KernelFeatures(*[True] * len(KernelFeatures._fields)), Severity.OK, "used: recvmsg, recvmmsg, sendmmsg"),
        (KernelFeatures(recvmsg=True, sendmmsg=True), Severity.NOTE, "without recvmmsg, UDP_SEGMENT, UDP_GRO"),
    ],
)
def test_what_of_the_fast_path_works_is_told(
    features: KernelFeatures, severity: Severity, seen: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_features, "find", lambda: features)
    (found,) = check_fast_path(examination(root))
    assert (found.name, found.severity) == ("fast-path", severity)
    assert found.seen.startswith(seen)
