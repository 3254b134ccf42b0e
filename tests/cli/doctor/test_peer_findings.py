"""Two machines find each other, and each tells what is lost in which direction."""

from __future__ import annotations

import subprocess
import sys

from rx_multicast_ipc.cli.doctor.finding import Finding, Severity

from ...helpers import PATIENCE, interrupt
from ...hosts import Host, Network
from .test_faults import BUFFER, bad, finish, firewall, needs_nft, network, start

__all__ = ["network"]

PEER = ("--peer", "--duration", "2", "--interval", "0.05")


def meet(*hosts: Host) -> list[list[Finding]]:
    """What each finds."""
    processes = [start(host, "--interface", "eth0", "--receive-buffer", str(BUFFER), *PEER) for host in hosts]
    return [finish(process)[1] for process in processes]


def peer(findings: list[Finding]) -> Finding:
    (found,) = [finding for finding in findings if finding.name == "peer"]
    return found


def test_two_healthy_machines_hear_everything_of_each_other(network: Network) -> None:
    a, b = network
    for findings, other in zip(meet(a, b), (b, a), strict=True):
        assert bad(findings) == {}
        found = peer(findings)
        assert found.subject.startswith(f"{other.address()}:")
        assert found.figures["heard"] == found.figures["sent_there"] > 10
        assert found.figures["heard_there"] == found.figures["sent"] > 10


def test_loss_in_one_direction_is_told_for_that_direction_on_both_sides(network: Network) -> None:
    a, b = network
    network.lose(40, to=b)
    at_a, at_b = meet(a, b)
    assert set(bad(at_a)) == set(bad(at_b)) == {"loss"}
    to_b, from_a = peer(at_a).figures, peer(at_b).figures
    assert to_b["heard"] == to_b["sent_there"]
    assert 0.3 < to_b["heard_there"] / to_b["sent"] < 0.9
    assert from_a["heard_there"] == from_a["sent"]
    assert 0.3 < from_a["heard"] / from_a["sent_there"] < 0.9


@needs_nft
def test_a_direction_that_is_dead_is_told_on_both_sides(network: Network) -> None:
    a, b = network
    firewall(b, "input", f"iifname eth0 ip saddr {a.address()} ip daddr 224.0.2.1")
    at_a, at_b = meet(a, b)
    assert set(bad(at_a)) == set(bad(at_b)) == {"one-way"}
    assert "from here to there" in seen(at_a, "one-way")
    assert "from there to here" in seen(at_b, "one-way")


@needs_nft
def test_a_firewall_that_admits_the_groups_port_alone_is_told_where_it_is(network: Network) -> None:
    a, b = network
    firewall(b, "input", "iifname eth0 udp dport != 61088")
    at_a, at_b = meet(a, b)
    assert bad(at_a) == {}  # which hears all that b sends
    assert set(bad(at_b)) == {"one-way"}
    assert "no replies arrive here" in seen(at_b, "one-way")
    assert f"-s {a.address()} -j ACCEPT" in " ".join(step for finding in at_b for step in finding.fix)


def seen(findings: list[Finding], name: str) -> str:
    (found,) = [finding.seen for finding in findings if finding.name == name]
    return found


def test_nobody_there_is_a_fault(network: Network) -> None:
    a, _ = network
    code, findings = finish(
        start(a, "--interface", "eth0", "--receive-buffer", str(BUFFER), "--peer", "--timeout", "0.5")
    )
    assert (code, set(bad(findings))) == (1, {"no-peer"})


def watch(host: Host, seconds: float) -> subprocess.Popen[str]:
    return start(
        host, "--interface", "eth0", "--receive-buffer", str(BUFFER), "--watch", str(seconds), "--interval", "0.2"
    )


def test_a_switch_that_forgets_the_group_is_told_with_when_it_did(network: Network) -> None:
    a, b = network
    network.snoop(membership=3, querier=False)
    watching = [watch(a, 9), watch(b, 9)]
    for process in watching:
        code, findings = finish(process)
        assert code == 1
        assert set(bad(findings)) == {"group-silent"}
        assert "querier" in " ".join(next(f for f in findings if f.name == "group-silent").fix)


def test_a_listener_that_only_answers_serves_for_a_watch_too(network: Network) -> None:
    a, b = network
    network.snoop(membership=3, querier=False)
    b.start(sys.executable, "-m", "rx_multicast_ipc", "listen", "--respond", "--interface", "eth0")
    code, findings = finish(watch(a, 9))
    assert (code, set(bad(findings))) == (1, {"group-silent"})
    assert "from here to there" in seen(findings, "group-silent")


def test_a_switch_with_a_querier_keeps_the_group(network: Network) -> None:
    a, b = network
    network.snoop(membership=3, querier=True)
    watching = [watch(a, 7), watch(b, 7)]
    for process in watching:
        code, findings = finish(process)
        assert (code, bad(findings)) == (0, {})


def test_a_peer_that_ends_is_no_fault_of_the_network(network: Network) -> None:
    a, b = network
    watching = watch(a, 3600)
    assert watching.stderr is not None
    assert "looking for others" in watching.stderr.readline()
    meet(b)  # which ends
    assert "fell silent" in watching.stderr.readline()
    interrupt(watching)
    code, findings = finish(watching)
    assert (code, bad(findings)) == (130, {})
    assert "peer-gone" in {f.name for f in findings if f.severity is Severity.NOTE}


def test_ctrl_c_ends_a_watch_with_what_it_found(network: Network) -> None:
    a, b = network
    watching = watch(a, 60)
    other = watch(b, 60)
    for process in (watching, other):
        assert process.stderr is not None
        assert "looking for others" in process.stderr.readline()
    for process in (watching, other):
        interrupt(process)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert any(f'"{found}"' in out for found in ("peer", "unproved", "no-peer"))
