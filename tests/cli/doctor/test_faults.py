"""The doctor names each fault that was planted, and none that is not there."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rx_multicast_ipc.cli.doctor.finding import Finding, Severity

from ...helpers import PATIENCE, THOROUGH, ipc
from ...hosts import Host, Network, hosts
from ..helpers import call

BUFFER = 65_536
"""Less than any machine's limit, so that a small limit is found only where it is planted."""

needs_nft = pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft(8) to plant a firewall")


@pytest.fixture
def network() -> Iterator[Network]:
    with hosts(2) as network:
        yield network


@pytest.fixture
def host(network: Network) -> Host:
    return network.hosts[0]


def start(host: Host, *arguments: str) -> subprocess.Popen[str]:
    return host.start(sys.executable, "-X", "dev", "-m", "rx_multicast_ipc", "doctor", "--json", *arguments)


def finish(process: subprocess.Popen[str]) -> tuple[int, list[Finding]]:
    out, _ = process.communicate(timeout=2 * PATIENCE)
    return process.returncode, findings_in(out)


def findings_in(out: str | bytes) -> list[Finding]:
    return [msgspec.json.decode(line, type=Finding) for line in out.splitlines()]


def bad(findings: list[Finding]) -> dict[str, str]:
    """What is wrong, and with what."""
    return {f.name: f.subject for f in findings if f.severity in (Severity.WARNING, Severity.FAULT)}


def doctor(host: Host, *arguments: str) -> tuple[int, dict[str, str]]:
    """Its exit code, and what it says is wrong: run in this process, or when tests take their long form on the host."""
    arguments = arguments or ("--interface", "eth0")
    if "--receive-buffer" not in arguments:
        arguments = (*arguments, "--receive-buffer", str(BUFFER))
    if THOROUGH:
        code, findings = finish(start(host, *arguments))
    else:
        with host.entered():
            code, out, _ = call("doctor", "--json", *arguments)
        findings = findings_in(out)
    assert all(f.means and f.fix for f in findings if f.severity is Severity.FAULT)
    return code, bad(findings)


def rules(host: Host, *rules: str) -> None:
    host.namespace.run("nft", "-f", "-", text="\n".join(rules))


def firewall(host: Host, hook: str, rule: str) -> None:
    rules(
        host,
        "add table inet planted",
        f"add chain inet planted {hook} {{ type filter hook {hook} priority 0; }}",
        f"add rule inet planted {hook} {rule} drop",
    )


def test_on_a_healthy_host_nothing_is_wrong(host: Host) -> None:
    for arguments in ([], ["--interface", "eth0"], ["--all-interfaces"], ["--interface", "default"]):
        assert doctor(host, "--port", "61088", *arguments) == (0, {})


def test_nothing_leaves_loopback_unless_an_interface_is_named(host: Host) -> None:
    with host.sniff() as sniffer:
        command = [sys.executable, "-m", "rx_multicast_ipc", "doctor", "--json"]
        _, findings = finish(host.start(*command, RX_MULTICAST_IPC_INTERFACE="eth0"))
        assert sniffer.datagrams() == []
        assert doctor(host, "--all-interfaces") == (0, {})
        assert [packet.destination for packet in sniffer.datagrams()] == ["224.0.2.1"]
    assert "environment" in {finding.name for finding in findings}


def test_an_interface_that_is_switched_off(host: Host) -> None:
    host.link_down()
    assert doctor(host) == (1, {"interface-down": "eth0", "no-route": "default"})


def test_a_cable_that_is_pulled(host: Host) -> None:
    host.pull_cable()
    assert doctor(host) == (1, {"no-carrier": "eth0"})


def test_an_interface_without_an_address(host: Host) -> None:
    host.namespace.ip("address flush dev eth0", "route replace default dev eth0")
    assert doctor(host) == (1, {"no-address": "eth0"})


def test_an_interface_that_may_not_multicast(host: Host) -> None:
    host.namespace.ip("link set dev eth0 multicast off")
    assert doctor(host) == (1, {"no-multicast": "eth0"})


def test_an_interface_that_was_not_named_may_be_off(host: Host) -> None:
    host.add_interface("eth1", segment=1)
    host.link_down("eth1")
    assert doctor(host) == (0, {})


def test_a_missing_route(host: Host) -> None:
    host.namespace.ip("route delete default")
    assert doctor(host) == (0, {"no-route": "default"})
    assert doctor(host, "--interface", "default") == (1, {"no-route": "default"})


def test_a_vpn_that_took_the_default_route(host: Host) -> None:
    host.namespace.ip(
        "link add tun0 type veth peer name far",
        "link set far up",
        "address add 10.8.0.2/24 dev tun0",
        "link set tun0 up",
    )
    host.namespace.ip("route replace default dev tun0")
    assert doctor(host) == (0, {"vpn-route": "tun0"})


def test_a_loopback_that_is_down(host: Host) -> None:
    host.namespace.ip("link set lo down")
    assert doctor(host) == (1, {"loopback-down": "lo"})


@needs_nft
def test_a_firewall_that_lets_nothing_out(host: Host) -> None:
    firewall(host, "output", "oifname eth0 udp dport 61088")
    assert doctor(host) == (1, {"firewall": "eth0"})


@needs_nft
def test_a_firewall_that_lets_nothing_in(host: Host) -> None:
    firewall(host, "input", "iifname eth0 udp dport 61088")
    assert doctor(host) == (1, {"not-heard": "eth0"})


@needs_nft
def test_a_firewall_on_loopback(host: Host) -> None:
    firewall(host, "output", "oifname lo udp dport 61088")
    assert doctor(host) == (1, {"firewall": "loopback"})


def test_a_limit_that_is_smaller_than_the_buffer(host: Host) -> None:
    assert doctor(host, "--receive-buffer", str(1 << 30)) == (0, {"receive-buffer": "net.core.rmem_max"})


@pytest.mark.parametrize("option", [None, "SO_REUSEPORT"])
def test_a_program_that_keeps_the_port_to_itself(host: Host, option: str | None) -> None:
    with host.entered(), socket.socket(type=socket.SOCK_DGRAM) as holder:
        if option is not None:
            holder.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
        holder.bind(("", 61088))
        code, findings = finish(start(host, "--interface", "eth0", "--receive-buffer", str(BUFFER)))
    assert (code, bad(findings)) == (1, {"port-held": "port 61088"})
    (seen,) = [f.seen for f in findings if f.name == "port-held"]
    assert "SO_REUSEPORT only" in seen if option else "alone" in seen


def test_who_shares_the_port_and_hears_what_is_not_for_it_is_noted(host: Host) -> None:
    code = """
import socket
held = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
for one in held:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("", 61088))
print("ready", flush=True)
input()
"""
    holder = host.python(code)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    code, findings = finish(start(host, "--interface", "eth0", "--receive-buffer", str(BUFFER)))
    assert (code, bad(findings)) == (0, {})
    notes = {f.name: f.seen for f in findings if f.severity is Severity.NOTE}
    assert Path(sys.executable).name in notes["cross-talk"]
    assert notes["unicast-shared"].startswith("2 sockets are bound to every address")


def test_a_listener_that_has_lost_messages(host: Host) -> None:
    with host.entered():
        slow = socket.socket(type=socket.SOCK_DGRAM)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        slow.bind(("127.0.0.1", 61088))
        with slow, socket.socket(type=socket.SOCK_DGRAM) as sender:
            for _ in range(100):
                sender.sendto(b"x" * 1000, ("127.0.0.1", 61088))
            assert doctor(host) == (0, {"lost": "port 61088"})


def test_a_ttl_that_keeps_messages_at_home(host: Host) -> None:
    assert doctor(host, "--interface", "eth0", "--ttl", "0") == (1, {"ttl-0": "ttl"})


def test_a_group_that_no_router_forwards(host: Host) -> None:
    assert doctor(host, "--interface", "eth0", "--ttl", "8", "--group", "224.0.0.77") == (0, {"ttl-and-group": "ttl"})


def test_ipv6_groups_are_examined_too(host: Host) -> None:
    assert doctor(host, "--interface", "eth0", "--group", "ff02::1:7") == (0, {})
    host.namespace.set("net/ipv6/conf/eth0/disable_ipv6", 1)
    assert "no-address" in doctor(host, "--interface", "eth0", "--group", "ff02::1:7")[1]


def test_a_channel_of_this_library_on_the_port_is_no_fault(host: Host) -> None:
    with host.entered():
        channel = ipc.open_channel(interface="eth0")
    with channel:
        assert doctor(host) == (0, {})


def test_a_channel_that_sends_has_lost_nothing(host: Host) -> None:
    with host.entered():
        channel = ipc.open_channel(interface="eth0")
    with channel:
        for number in range(20):  # the kernel counts them as dropped: they came to the channel from memory
            ipc.run(channel.broadcast(str(number)))
        code, findings = finish(start(host, "--interface", "eth0", "--receive-buffer", str(BUFFER)))
        kept = [finding for finding in findings if finding.name == "not-received"]
        assert (code, bad(findings)) == (0, {})
        assert [(finding.severity, finding.subject) for finding in kept] == [(Severity.NOTE, "port 61088")]
        assert "20 messages" in kept[0].seen
