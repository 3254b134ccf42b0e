"""The hosts that tests are given: what they can do, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from .helpers import PATIENCE, ROOT, divide_by_zero, finish, nothing_left_behind, python, wait_until
from .hosts import Host, Network, Packet, hosts

GROUP = "239.7.7.7"
PORT = 7777


@pytest.fixture(scope="module")
def three() -> Iterator[Network]:
    with hosts(3) as network:
        yield network


@pytest.fixture
def network(three: Network) -> Iterator[Network]:
    yield three
    three.heal()


class Listener:
    """A plain socket on a host that joined the group over one interface, and hears replies."""

    def __init__(self, host: Host, interface: str = "eth0", group: str = GROUP) -> None:
        self.host = host
        with host.entered():
            index = socket.if_nametoindex(interface)
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("", PORT))
        self.socket.settimeout(PATIENCE)
        self._group = group
        self._request = socket.inet_aton(group) + bytes(4) + struct.pack("=i", index)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, self._request)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack("=i", index))
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def send(self, data: bytes, address: str = "", *, ttl: int = 1) -> None:
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        self.socket.sendto(data, (address or self._group, PORT))

    def hear(self) -> bytes:
        return self.socket.recv(100)

    def hear_until(self, last: bytes) -> list[bytes]:
        """All up to a message, which comes last: for what is sent from one host to another keeps its order."""
        heard: list[bytes] = []
        while not heard or heard[-1] != last:
            heard.append(self.hear())
        return heard

    def join_again(self) -> None:
        """Leave and join, which the kernel reports."""
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, self._request)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, self._request)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def listeners(network: Network) -> Iterator[list[Listener]]:
    made = [Listener(host) for host in network]
    yield made
    for listener in made:
        listener.close()


def interface_names(host: Host) -> set[str]:
    with host.entered():
        return {name for _, name in socket.if_nameindex()}


def index_of(host: Host, interface: str = "eth0") -> int:
    with host.entered():
        return socket.if_nametoindex(interface)


def default_source(host: Host) -> str:
    """Where multicast comes from, if no interface is named."""
    with host.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((GROUP, PORT))
        return probe.getsockname()[0]


def test_each_host_has_a_network_of_its_own(network: Network) -> None:
    for number, host in enumerate(network, 1):
        assert interface_names(host) == {"lo", "eth0"}
        assert host.address() == default_source(host) == f"10.77.0.{number}"


def test_multicast_reaches_every_other_host_and_a_reply_only_the_one_it_is_for(listeners: list[Listener]) -> None:
    a, b, c = listeners
    a.send(b"to all")
    data, sender = b.socket.recvfrom(100)
    assert (data, sender) == (b"to all", ("10.77.0.1", PORT))
    assert c.hear() == b"to all"
    b.send(b"to you", sender[0])
    b.send(b"end")
    assert a.hear_until(b"end") == [b"to you", b"end"]
    assert c.hear_until(b"end") == [b"end"]


def test_a_thread_started_on_a_host_is_there_and_the_others_are_not(network: Network) -> None:
    here = os.readlink("/proc/thread-self/ns/net")
    seen: list[str] = []

    def look() -> None:
        seen.append(os.readlink("/proc/thread-self/ns/net"))

    host = network.hosts[0]
    with suppress(ZeroDivisionError), host.entered():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        divide_by_zero()
    look()
    assert seen == [host.namespace.identity, here]


def test_a_process_on_a_host_sees_its_network_and_talks_through_pipes(network: Network) -> None:
    code = "import os, socket, sys; print(input(), sys.argv[1], os.environ['WORD'], socket.if_nameindex()[1][1])"
    assert finish(network.hosts[1].python(code, 7, WORD="word"), "line\n") == "line 7 word eth0\n"


def test_an_interface_goes_down_and_up_with_its_default_route(network: Network) -> None:
    host = network.hosts[0]
    host.link_down()
    with pytest.raises(OSError, match="unreachable"):
        default_source(host)
    host.link_up()
    assert default_source(host) == host.address()


def test_a_pulled_cable_stops_everything_and_keeps_the_address(network: Network, listeners: list[Listener]) -> None:
    a, b, c = listeners
    b.host.pull_cable()
    a.send(b"unheard")
    assert c.hear() == b"unheard"
    b.host.push_cable()
    a.send(b"heard")
    assert b.hear() == b"heard"


def test_an_address_changes(network: Network) -> None:
    host = network.hosts[0]
    own = host.address()
    host.change_address("eth0", "10.77.0.66/24")
    assert host.address() == default_source(host) == "10.77.0.66"
    host.change_address("eth0", f"{own}/24")
    assert default_source(host) == own


def test_a_recreated_interface_has_its_name_and_addresses_and_a_new_index(network: Network) -> None:
    host = network.hosts[0]
    index, link_local = index_of(host), host.link_local()
    host.recreate()
    assert index_of(host) != index
    assert (default_source(host), host.link_local()) == (host.address(), link_local)
    with closing(Listener(host)) as a, closing(Listener(network.hosts[1])) as b:
        a.send(b"x")
        assert b.hear() == b"x"


def test_interfaces_come_go_and_are_renamed_and_the_default_route_moves() -> None:
    with hosts(1) as network:
        (host,) = network
        host.add_interface("eth1")
        host.add_interface("eth2", segment=1)
        assert (host.address("eth1"), host.address("eth2")) == ("10.77.0.101", "10.77.1.1")
        host.route_by_default("eth2")
        assert default_source(host) == "10.77.1.1"
        host.rename("eth2", "wlan0")
        assert default_source(host) == host.address("wlan0") == "10.77.1.1"
        host.remove_interface("eth1")
        assert interface_names(host) == {"lo", "eth0", "wlan0"}


def test_segments_are_links_of_their_own() -> None:
    with hosts(2) as network:
        far = network.add_host(segment=1)
        assert far.address() == "10.77.1.3"
        network.hosts[1].add_interface("eth1", segment=1)
        with closing(Listener(network.hosts[0])) as near, closing(Listener(far)) as listener:
            near.send(b"not for this segment")
            with closing(Listener(network.hosts[1], "eth1", "239.7.7.8")) as both:
                both.socket.sendto(b"for this one", (GROUP, PORT))
            assert listener.hear() == b"for this one"


def test_losses_are_random_and_counted_and_healed(network: Network, listeners: list[Listener]) -> None:
    a, b, c = listeners
    fault = network.lose(25, to=b.host)
    for number in range(400):
        a.send(f"{number}".encode())
    sent = [f"{number}".encode() for number in range(400)]
    assert c.hear_until(b"399") == sent  # so that nothing is on its way while the rule and its count go
    network.heal()
    a.send(b"end")
    heard = b.hear_until(b"end")[:-1]
    assert len(heard) + fault.count == 400
    assert 40 < fault.count < 160  # 25 % of 400: seven standard deviations
    assert heard != sent[: len(heard)]
    assert c.hear_until(b"end") == [b"end"]


def test_duplicates_are_counted_and_come_once(network: Network, listeners: list[Listener]) -> None:
    a, b, c = listeners
    fault = network.duplicate(25, to=b.host)
    for number in range(400):
        a.send(f"{number}".encode())
    assert len(c.hear_until(b"399")) == 400
    network.heal()
    a.send(b"end")
    heard = b.hear_until(b"end")[:-1]
    assert len(heard) - fault.count == len(set(heard)) == 400
    assert 40 < fault.count < 160
    assert c.hear_until(b"end") == [b"end"]


def test_a_partition_parts_the_sides_in_both_directions_until_it_heals(
    network: Network, listeners: list[Listener]
) -> None:
    a, b, c = listeners
    fault = network.partition([a.host, b.host], [c.host])
    c.send(b"from c")
    a.send(b"from a")
    assert b.hear() == b"from a"
    network.heal()
    assert fault.count >= 2  # and what IPv6 says of itself
    a.send(b"end")
    assert c.hear() == b"end"
    assert b.hear() == b"end"


def test_a_sniffer_shows_what_was_sent_and_received(network: Network, listeners: list[Listener]) -> None:
    a, b, _ = listeners
    with a.host.sniff() as at_a, b.host.sniff() as at_b, network.hosts[2].sniff("lo") as elsewhere:
        a.send(b"payload", ttl=3)
        b.hear()
        assert at_a.datagrams() == [Packet(True, "UDP", "10.77.0.1", GROUP, 3, b"payload")]
        assert at_b.datagrams() == [Packet(False, "UDP", "10.77.0.1", GROUP, 3, b"payload")]
        a.join_again()
        report = at_a.wait_for(lambda packet: packet.protocol == "IGMP" and packet.outgoing)
        assert (report.source, report.ttl) == ("10.77.0.1", 1)
        assert socket.inet_aton(GROUP) in report.payload
        assert elsewhere.packets() == []


def test_a_router_passes_the_datagrams_of_a_group_on_unless_their_ttl_is_used_up() -> None:
    with hosts(1) as network:
        far = network.add_host(segment=1)
        network.add_router(GROUP)
        with closing(Listener(network.hosts[0])) as a, closing(Listener(far)) as b, far.sniff() as seen:
            for ttl in (1, 2, 3):
                a.send(f"ttl {ttl}".encode(), ttl=ttl)
            assert b.hear_until(b"ttl 3") == [b"ttl 2", b"ttl 3"]
            assert [packet.ttl for packet in seen.datagrams()] == [1, 2]
            b.send(b"back", ttl=2)
            assert a.hear() == b"back"


def test_unicast_finds_its_way_through_the_router() -> None:
    with hosts(1) as network:
        far = network.add_host(segment=1)
        network.add_router()
        with closing(Listener(network.hosts[0])) as a, closing(Listener(far)) as b:
            a.send(b"x", far.address())
            assert b.hear() == b"x"


def test_a_switch_without_a_querier_forgets_a_group_until_it_is_joined_again(
    network: Network, listeners: list[Listener]
) -> None:
    a, b, _ = listeners

    def heard(before: bytes) -> bool:
        """Whether multicast reaches b, by what comes before a unicast datagram."""
        a.send(before)
        a.send(b"end", b.host.address())
        return b.hear_until(b"end") == [before, b"end"]

    assert heard(b"flooded")
    network.snoop(membership=0.3, querier=False)
    wait_until(lambda: not heard(b"forgotten"))

    def heard_once_joined_again() -> bool:  # for so short a time that the test may be too late
        b.join_again()
        return heard(b"remembered")

    wait_until(heard_once_joined_again)


def test_a_switch_with_a_querier_keeps_a_group_that_has_members_and_sends_it_nowhere_else(
    network: Network, listeners: list[Listener]
) -> None:
    a, b, c = listeners
    c.close()
    network.snoop(membership=1.5, querier=True)
    with c.host.sniff() as at_c, b.host.sniff() as at_b:
        asked = 0
        while asked < 3:  # once a second: longer than a membership lasts
            at_b.wait_for(lambda packet, asked=asked: igmp_queries(at_b.packets()) > asked)
            asked = igmp_queries(at_b.packets())
            a.send(f"{asked}".encode())
            assert b.hear() == f"{asked}".encode()
        # Until the first query is answered the switch does not know better.
        assert {packet.payload for packet in at_c.datagrams()} <= {b"1"}


def igmp_queries(packets: list[Packet]) -> int:
    return sum(packet.protocol == "IGMP" and packet.payload[0] == 0x11 for packet in packets)


def test_a_network_leaves_no_descriptor_thread_or_process_behind() -> None:
    with nothing_left_behind():
        with hosts(2) as network:
            process = network.hosts[0].python("import time; time.sleep(1000)")
            network.add_router("239.7.7.7")
            network.lose(10)
        assert process.returncode == -signal.SIGKILL


def processes_in(namespaces: set[str]) -> list[str]:
    """Processes of this machine that are in one of these network namespaces."""
    found: list[str] = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.readlink(folder / "ns/net") in namespaces:
                found.append(folder.name)
        except OSError:  # it ended meanwhile, or is not ours
            continue
    return found


LEAVES_WITHOUT_A_WORD = """
import subprocess, sys, threading
from tests.hosts import hosts
with hosts(2) as network:
    a, b = network
    # A cable out of the network, for whoever watches: it is gone once the namespace of its other end is.
    subprocess.run(["ip", "link", "add", "witness", "type", "veth", "peer", "name", "w", "netns", a.namespace.path])
    parent = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'print(1); input()'], "
    parent += "stdin=subprocess.PIPE); child.wait()"
    print(a.namespace.identity, b.namespace.identity, network.switch.identity, flush=True)
    process = b.python(parent)
    process.stdout.readline()  # the grandchild's
    print("ready", flush=True)
    threading.Event().wait()
"""


def test_nothing_stays_behind_when_the_tests_are_killed() -> None:
    named = Path("/run/netns")
    names_before = sorted(named.iterdir()) if named.exists() else []
    with hosts(1) as outer:  # stands for the machine: the test process, and its network, are in there
        (machine,) = outer
        process = machine.python(LEAVES_WITHOUT_A_WORD)
        assert process.stdout is not None
        namespaces = set(process.stdout.readline().split())
        assert len(namespaces) == 3
        assert process.stdout.readline() == "ready\n"
        assert len(processes_in(namespaces)) == 2
        assert interface_names(machine) == {"lo", "eth0", "witness"}  # it made none but the witness
        process.kill()
        process.wait(PATIENCE)
        wait_until(lambda: processes_in(namespaces) == [] and "witness" not in interface_names(machine))
    assert (sorted(named.iterdir()) if named.exists() else []) == names_before


def test_who_is_not_root_may_have_hosts_in_a_user_namespace() -> None:
    if subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make user namespaces")
    code = """
from tests.hosts import hosts
with hosts(2) as network:
    a, b = network
    network.partition([a], [b])
    print(b.python("print(input())").communicate("there")[0])
"""
    done = subprocess.run(
        ["unshare", "-Urn", sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("there\n\n", "")


def test_hosts_that_cannot_be_had_skip_the_test_with_the_reason() -> None:
    process = python("""
import pytest
from tests.hosts import hosts, namespace
def refuse(kind):
    raise PermissionError(1, "Operation not permitted")
namespace.unshare = refuse
try:
    with hosts(1):
        pass
except pytest.skip.Exception as skipped:
    print(skipped)
""")
    assert finish(process).startswith("hosts need the right to make network namespaces: root, or a run under unshare")
