"""The doctor on macOS and Windows: what it finds of each planted fault, and that its commands are that platform's."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.cli.doctor import delivery_check, examine, system_facts
from rx_multicast_ipc.cli.doctor.check_context import Examination
from rx_multicast_ipc.cli.doctor.finding import Finding, Severity
from rx_multicast_ipc.cli.doctor.system_facts import System
from rx_multicast_ipc.transport.udp import interfaces
from rx_multicast_ipc.transport.udp.interface_watch import Link
from rx_multicast_ipc.transport.udp.platform import Platform

from ...helpers import PATIENCE, needs_linux
from ...hosts import Host, Network, hosts

BUFFER = 65_536

COMMANDS = {
    "linux": r"\bip (-6 )?(link|address|route)\b|iptables|\bnft\b|\bufw\b|net\.(core|ipv[46])|/etc/sysctl\.d|\bss -",
    "darwin": r"ifconfig|networksetup|System Settings|socketfilterfw|pfctl|kern\.ipc|lsof|route -n",
    "win32": r"netsh|\b(Get|Set|New|Enable|Find)-[A-Z]|\$env:",
}
"""How the commands of each platform look."""


class Machine(NamedTuple):
    """What one of each platform looks like when all is well.

    Attributes:
        links: loopback first, then the network.
        network: the name of the interface that leads there.
    """

    links: list[Link]
    network: str


MACHINES: dict[Platform, Machine] = {
    "darwin": Machine(
        [
            Link(1, "lo0", True, True, True, ("127.0.0.1", "::1", "fe80::1"), (), True),
            Link(4, "en0", True, True, False, ("192.0.2.7", "fe80::7"), ("192.0.2.255",), True),
            Link(6, "awdl0", True, True, False, ("fe80::8",), (), True),
            Link(7, "en1", False, True, False, (), (), True),
            Link(8, "utun0", True, True, False, ("fe80::9",), (), True, point_to_point=True),
        ],
        "en0",
    ),
    "win32": Machine(
        [
            Link(1, "Loopback Pseudo-Interface 1", True, True, True, ("127.0.0.1", "::1")),
            Link(9, "Wi-Fi", True, True, False, ("192.0.2.7", "fe80::7")),
            Link(12, "Ethernet 2", False, True, False, ()),
        ],
        "Wi-Fi",
    ),
}


def nothing() -> None: ...


class Patched:
    """This process as if it were on the other platform, on a machine of :data:`MACHINES`.

    Attributes:
        links: its interfaces.
        route: the index of the interface that the default route leads to; 0: nobody tells; None: there is none.
        granted: bytes of receive buffer that a socket gets; None: as many as are asked for.
        delivery: raises what keeps a message from arriving.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        machine = MACHINES[platform]
        self.links = list(machine.links)
        self.network = machine.network
        self.route: int | None = self.link.number
        self.granted: int | None = None
        self.delivery: Callable[[], object] = nothing

    @property
    def link(self) -> Link:
        return next(link for link in self.links if link.name == self.network)

    def system(self) -> System:
        return _PatchedSystem(self)

    def change(self, name: str, **attributes: Any) -> None:
        self.links = [link._replace(**attributes) if link.name == name else link for link in self.links]

    def findings(self, *named: str, address: str = "224.0.2.1", port: int = 61088, **options: Any) -> list[Finding]:
        """What the doctor finds, with the interfaces that are named."""
        examination = Examination.of(self.system(), port, address, receive_buffer=BUFFER, named=named, **options)
        found = list(examine(examination))
        mine = COMMANDS[self.platform]
        for finding in found:
            text = "\n".join(finding.fix)
            assert not any(re.search(COMMANDS[other], text) for other in COMMANDS if other != self.platform), text
            if finding.severity is Severity.FAULT:
                assert finding.means
                assert finding.name in ("ttl-0", "no-multicast", "cannot-join") or re.search(mine, text), finding
        return found

    def bad(self, *named: str, **options: Any) -> dict[str, str]:
        """What is wrong, and with what."""
        worse = (Severity.WARNING, Severity.FAULT)
        return {f.name: f.subject for f in self.findings(*named, **options) if f.severity in worse}


class _PatchedSystem(System):
    """Tells of a machine what cannot be had of this one."""

    def __init__(self, machine: Patched) -> None:
        super().__init__()
        self._machine = machine

    def route_to(self, group: ipc.Group) -> int | None:
        return self._machine.route

    def granted_receive_buffer(self, asked: int) -> int:
        return self._machine.granted or asked

    def receive_buffer_limit(self) -> int | None:
        return None

    def container(self) -> str:
        return ""


@pytest.fixture(params=["darwin", "win32"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Patched:
    patched = Patched(request.param)

    def send_and_hear(group: ipc.Group, _: Examination) -> tuple[float, dict[str, int]]:
        if not group.is_loopback:
            patched.delivery()
        return 0.001, {}

    monkeypatch.setattr(system_facts, "PLATFORM", patched.platform)
    monkeypatch.setattr(interfaces, "PLATFORM", patched.platform)

    def listed() -> list[Link]:
        return patched.links

    monkeypatch.setattr(interfaces, "_LISTS", {patched.platform: listed})
    monkeypatch.setattr(delivery_check, "send_and_hear", send_and_hear)
    return patched


pytestmark = needs_linux


def test_on_a_healthy_machine_nothing_is_wrong(machine: Patched) -> None:
    for named in ([], [machine.network], ["default"], ["192.0.2.7"], [machine.network, "default"]):
        assert machine.bad(*named) == {}
    assert machine.bad(all_interfaces=True) == {}
    assert machine.bad(machine.network, address="ff02::1:7") == {}


def test_an_address_is_the_interface_that_has_it(machine: Patched) -> None:
    for name in (machine.network, "192.0.2.7"):
        found = machine.findings(name)
        assert [(f.subject, f.severity) for f in found if f.name == "delivery"][1:] == [(machine.network, Severity.OK)]
    with pytest.raises(ipc.InvalidInterface, match=r"198\.51\.100\.1 is not an address of this machine"):
        machine.findings("198.51.100.1")
    with pytest.raises(ipc.InvalidInterface, match=f'no interface .nope0. here.*"{machine.network}"'):
        machine.findings("nope0")


def test_all_interfaces_are_those_that_a_channel_on_all_is_on(machine: Patched) -> None:
    found = machine.findings(all_interfaces=True)
    assert [f.subject for f in found if f.name == "delivery"] == ["loopback", machine.network]


def test_an_interface_that_is_switched_off(machine: Patched) -> None:
    machine.change(machine.network, up=False, enabled=None if machine.platform == "win32" else False)
    assert machine.bad(machine.network) == {"interface-down": machine.network}
    assert machine.bad() == {}


def test_a_cable_that_is_pulled(machine: Patched) -> None:
    machine.change(machine.network, up=False)
    name = "interface-down" if machine.platform == "win32" else "no-carrier"  # where the two look the same
    assert machine.bad(machine.network) == {name: machine.network}


def test_an_interface_that_may_not_multicast(machine: Patched) -> None:
    machine.change(machine.network, multicast=False)
    assert machine.bad(machine.network) == {"no-multicast": machine.network}


@pytest.mark.parametrize(("address", "left"), [("224.0.2.1", "fe80::7"), ("ff02::1:7", "192.0.2.7")])
def test_an_interface_without_an_address_of_the_family(machine: Patched, address: str, left: str) -> None:
    for addresses in ((), (left,)):
        machine.change(machine.network, addresses=addresses)
        assert machine.bad(machine.network, address=address) == {"no-address": machine.network}


def test_a_missing_route(machine: Patched) -> None:
    machine.route = None
    assert machine.bad() == {}
    assert machine.bad(machine.network) == machine.bad("default") == {"no-route": "default"}


def test_a_vpn_that_took_the_default_route(machine: Patched) -> None:
    machine.links.append(Link(20, "Contoso", True, True, False, ("10.8.0.2",), (), True, point_to_point=True))
    machine.route = 20
    assert machine.bad() == {}
    assert machine.bad(machine.network) == machine.bad("default") == {"vpn-route": "Contoso"}


def test_a_loopback_that_is_down(machine: Patched) -> None:
    name = machine.links[0].name
    machine.change(name, up=False, enabled=False)
    assert machine.bad(machine.network) == {"loopback-down": name}


def test_a_limit_that_is_smaller_than_the_buffer(machine: Patched) -> None:
    machine.granted = BUFFER // 2
    subject = "kern.ipc.maxsockbuf" if machine.platform == "darwin" else "receive buffer"
    assert machine.bad() == {"receive-buffer": subject}


def refused(number: int) -> Callable[[], None]:
    def refuse() -> None:
        raise ipc.SendFailed("refused") from OSError(number, "refused")

    return refuse


def silent() -> None:
    raise ipc.MessageTimeout(1.0, "message")


def unjoinable() -> None:
    raise ipc.CannotOpen("no buffer space") from OSError(errno.ENOBUFS, "no buffer space")


@pytest.mark.parametrize(
    ("delivery", "found"),
    [
        (refused(errno.EACCES), {"firewall"}),
        (refused(errno.EPERM), {"firewall"}),
        (refused(errno.ENETDOWN), {"cannot-send"}),
        (silent, {"not-heard"}),
        (unjoinable, {"cannot-join"}),
    ],
)
def test_what_keeps_a_message_from_arriving(machine: Patched, delivery: Callable[[], object], found: set[str]) -> None:
    machine.delivery = delivery
    assert machine.bad(machine.network) == dict.fromkeys(found, machine.network)


def test_local_network_privacy_of_macos(machine: Patched) -> None:
    machine.delivery = refused(errno.EHOSTUNREACH)
    name = "local-network" if machine.platform == "darwin" else "cannot-send"
    assert machine.bad(machine.network) == {name: machine.network}


def test_a_ttl_that_keeps_messages_at_home(machine: Patched) -> None:
    assert machine.bad(machine.network, ttl=0) == {"ttl-0": "ttl"}


def test_a_group_that_no_router_forwards(machine: Patched) -> None:
    assert machine.bad(machine.network, address="224.0.0.77", ttl=3) == {"ttl-and-group": "ttl"}


def test_a_port_that_a_program_keeps_to_itself(machine: Patched, port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        holder.bind(("", port))
        (held,) = [found for found in machine.findings(port=port) if found.name == "port-held"]
        assert machine.bad(port=port) == machine.bad(machine.network, port=port) == {"port-held": f"port {port}"}
    assert ("SO_EXCLUSIVEADDRUSE" in held.seen) == (machine.platform == "win32")
    assert machine.bad(port=port) == {}


def test_several_faults_are_all_found(machine: Patched, port: int) -> None:
    machine.granted = BUFFER // 2
    machine.route = None
    machine.change(machine.network, addresses=())
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        holder.bind(("", port))
        found = set(machine.bad(machine.network, port=port, ttl=0))
    assert found == {"receive-buffer", "no-route", "no-address", "port-held", "ttl-0"}


@pytest.mark.parametrize("lost", ["interfaces", "routes", "both"])
def test_what_nobody_tells_is_no_fault(machine: Patched, lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library without the call, or a sandbox without the socket."""
    if lost != "routes":
        machine.links = []
        monkeypatch.setattr("socket.if_nameindex", [(1, "lo0"), (4, "en0")].copy)
        monkeypatch.setattr("socket.if_nametoindex", {"lo0": 1, "en0": 4}.__getitem__)
        machine.network = "en0"
    machine.route = 4 if lost == "interfaces" else 0
    assert machine.bad() == machine.bad(machine.network) == {}
    seen = " ".join(f.seen for f in machine.findings(machine.network))
    assert "not known here" in seen
    assert ("state and addresses are not known" in seen) == (lost != "routes")


AS = """
import sys
import rx_multicast_ipc.cli.doctor.system_facts as system_facts
from rx_multicast_ipc.cli.main import main
system_facts.PLATFORM = sys.argv[1]
sys.exit(main(["doctor", "--json", *sys.argv[2:]]))
"""


@pytest.fixture
def host() -> Iterator[Host]:
    with hosts(2) as network:
        assert isinstance(network, Network)
        yield network.hosts[0]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_the_command_joins_and_sends_on_an_interface_of_the_other_platform(host: Host, platform: Platform) -> None:
    def doctor(*arguments: str) -> tuple[int | None, dict[str, str]]:
        process = host.python(AS, platform, *arguments, "--receive-buffer", str(BUFFER))
        out, _ = process.communicate(timeout=2 * PATIENCE)
        found = [msgspec.json.decode(line, type=Finding) for line in out.splitlines()]
        assert not re.search(COMMANDS["linux"], "\n".join(step for each in found for step in each.fix))
        return process.returncode, {f.name: f.subject for f in found if f.severity in ("warning", "fault")}

    for named in ("eth0", host.address(), "default", "lo"):
        assert doctor("--interface", named) == (0, {})
    host.link_down()
    assert doctor("--interface", "eth0") == (1, {"interface-down": "eth0", "no-route": "default"})
