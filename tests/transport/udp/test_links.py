"""Interfaces as the systems list them: read on this machine, or from structures as another system makes them."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import Any

import pytest

from rx_multicast_ipc import InvalidInterface, NoRoute
from rx_multicast_ipc.group import Group
from rx_multicast_ipc.transport.udp import interfaces, links_bsd, links_windows
from rx_multicast_ipc.transport.udp.interface_watch import Link
from rx_multicast_ipc.transport.udp.interfaces import Nic, find_nics
from rx_multicast_ipc.transport.udp.links_windows import Adapter, Unicast
from rx_multicast_ipc.transport.udp.platform import Platform

from ...helpers import needs_linux, needs_namespaces
from .own_network import LINK, told_apart

GROUP = Group.of(interface="default")


@needs_namespaces
def test_getifaddrs_tells_what_rtnetlink_tells() -> None:
    code = """
from rx_multicast_ipc.transport.udp import interface_watch, links_bsd
ours, theirs = links_bsd.links(links_bsd.LINUX), interface_watch.links()
def plain(links):
    return {(each.number, each.name, each.up, each.multicast, each.loopback, each.addresses) for each in links}
assert plain(ours) == plain(theirs), (ours, theirs)
(net0,) = [each for each in ours if each.name == "net0"]
print(net0.addresses[:2], net0.broadcasts)
"""
    # Duplicate address detection takes a second, in which rtnetlink tells what getifaddrs does not.
    at_once = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad"
    script = f"{at_once} && " + LINK.replace("192.0.2.77/24 dev", "192.0.2.77/24 brd + dev")
    assert told_apart(code, script) == "('192.0.2.77', '2001:db8::77') ('192.0.2.255',)\n"


def test_a_link_local_address_of_bsd_does_not_keep_its_index() -> None:
    packed = bytearray(socket.inet_pton(socket.AF_INET6, "fe80::7"))
    packed[3] = 5
    name = bytes([28, 30]) + bytes(6) + packed + bytes(4)
    buffer = ctypes.create_string_buffer(name)
    address = links_bsd._address(ctypes.addressof(buffer), links_bsd.DARWIN)  # pyright: ignore[reportPrivateUsage]
    assert address == "fe80::7"


@needs_linux
def test_an_interface_that_goes_away_while_it_is_listed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> int:
        raise OSError(errno.ENXIO, name)

    assert links_bsd.links(links_bsd.LINUX)
    monkeypatch.setattr(socket, "if_nametoindex", gone)
    assert links_bsd.links(links_bsd.LINUX) == []


def notice(kind: int, flags: int = 0x1) -> bytes:
    """As route(4) of macOS writes one: ``struct rt_msghdr`` of net/route.h."""
    return struct.pack("=HBBHHi", 92, 5, kind, 4, 0, flags) + bytes(80)


ADD, DELETE, GET, MISS, RESOLVE, NEW_ADDRESS, INTERFACE, NEW_MEMBER = 0x1, 0x2, 0x4, 0x7, 0xB, 0xC, 0xE, 0xF
FROM_A_GATEWAY, CLONED, NEIGHBOUR = 0x803, 0x20005, 0x405


def test_a_look_at_the_routes_of_macos_is_no_change_of_the_network() -> None:
    """A look-up that finds no route is told to all (RTM_MISS), and so would be ours, which looks after each change."""
    changes = [notice(ADD, FROM_A_GATEWAY), notice(DELETE, FROM_A_GATEWAY), notice(NEW_ADDRESS), notice(INTERFACE)]
    others = [
        notice(MISS),
        notice(RESOLVE),
        notice(GET),
        notice(NEW_MEMBER),
        notice(ADD, CLONED),
        notice(DELETE, NEIGHBOUR),
    ]
    assert [links_bsd.tells_of_change(each) for each in changes] == [True] * len(changes)
    assert [links_bsd.tells_of_change(each) for each in [*others, b"", b"\0" * 7]] == [False] * (len(others) + 2)


@needs_namespaces
def test_a_channel_looks_around_after_changes_alone() -> None:
    code = """
import socket, threading
from pathlib import Path
import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.udp import interfaces, links_bsd, memberships
from tests.transport.udp.test_links import FROM_A_GATEWAY, ADD, MISS, notice
kernel, notices = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
notices.setblocking(False)
interfaces.change_notices, interfaces.tells_of_change = lambda: notices, links_bsd.tells_of_change
looks, opened, again, read = 0, threading.Event(), threading.Event(), threading.Semaphore(0)
look_around, read_notices = memberships.Memberships._look_around, memberships.Memberships._read_notices
def counted(self, *rest):
    global looks
    looks += 1
    look_around(self, *rest)
    (again if opened.is_set() else opened).set()
def told(self):
    read_notices(self)
    print("looks soon:", self._look.due < float("inf"))
    read.release()
    return 0
memberships.Memberships._look_around, memberships.Memberships._read_notices = counted, told
with kernel, ipc.open_channel(interface="lo") as channel:
    assert opened.wait(60)
    for _ in range(3):
        kernel.send(notice(MISS))
        assert read.acquire(timeout=60)
    kernel.send(notice(ADD, FROM_A_GATEWAY))
    assert again.wait(60)
    print(looks)
kernel.close()
"""
    assert told_apart(code, "ip link set lo up") == "looks soon: False\n" * 3 + "looks soon: True\n2\n"


class Adapters:
    """A list as GetAdaptersAddresses makes it."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self.first: Any = ctypes.POINTER(Adapter)()

    def add(self, number: int, name: str, *addresses: str, kind: int = 6, status: int = 1, flags: int = 0) -> None:
        unicast: Any = ctypes.POINTER(Unicast)()
        for address in reversed(addresses):
            if ":" in address:
                packed = struct.pack("=HHI", 23, 0, 0) + socket.inet_pton(socket.AF_INET6, address) + bytes(4)
            else:
                packed = struct.pack("=HH", 2, 0) + socket.inet_aton(address) + bytes(8)
            buffer = ctypes.create_string_buffer(packed)
            state = 1 if address.endswith(":bad") else 4
            entry = Unicast(next=unicast, address=ctypes.addressof(buffer), dad_state=state)
            self._kept += [buffer, entry]
            unicast = ctypes.pointer(entry)
        text = ctypes.create_string_buffer(name.encode("utf-16-le") + b"\0\0")
        adapter = Adapter(number=number, kind=kind, status=status, flags=flags, first_unicast=unicast)
        adapter.friendly_name = ctypes.addressof(text)
        adapter.next = self.first
        self._kept += [text, adapter]
        self.first = ctypes.pointer(adapter)


def test_adapters_of_windows_have_the_names_that_people_see() -> None:
    adapters = Adapters()
    adapters.add(1, "Loopback Pseudo-Interface 1", "127.0.0.1", "::1", kind=24)
    adapters.add(9, "WLAN ☂", "192.0.2.7", "fe80::7", "2001:db8::bad")
    adapters.add(12, "Ethernet 2", status=2, flags=0x10)
    assert links_windows.read(adapters.first) == [
        Link(12, "Ethernet 2", False, False, False, ()),
        Link(9, "WLAN ☂", True, True, False, ("192.0.2.7", "fe80::7")),
        Link(1, "Loopback Pseudo-Interface 1", True, True, True, ("127.0.0.1", "::1")),
    ]


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the offsets of 64 bits")
def test_the_structures_of_windows_are_laid_out_as_its_headers_say() -> None:
    """Offsets of IP_ADAPTER_ADDRESSES_LH and IP_ADAPTER_UNICAST_ADDRESS_LH in iptypes.h."""
    assert [getattr(Adapter, name).offset for name in ("next", "first_unicast", "friendly_name")] == [8, 24, 72]
    assert [getattr(Adapter, name).offset for name in ("flags", "kind", "status", "number6")] == [92, 100, 104, 108]
    assert [getattr(Unicast, name).offset for name in ("next", "address", "dad_state")] == [8, 16, 36]


WIFI = Link(9, "Wi-Fi", True, True, False, ("192.0.2.7", "fe80::7"))
WIRED = Link(12, "Ethernet 2", True, True, False, ("198.51.100.7",))
LOOPBACK = Link(1, "Loopback Pseudo-Interface 1", True, True, True, ("127.0.0.1", "::1"))
AWDL = Link(13, "awdl0", True, True, False, ("203.0.113.1", "fe80::8"))
UNUSED = Link(14, "Ethernet 3", True, True, False, ())


@pytest.fixture(params=["win32", "darwin"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Platform:
    platform: Platform = request.param
    monkeypatch.setattr(interfaces, "PLATFORM", platform)
    lists = {platform: lambda: [LOOPBACK, WIFI, WIRED, AWDL, UNUSED]}
    monkeypatch.setattr(interfaces, "_LISTS", lists)
    return platform


@needs_linux
@pytest.mark.parametrize(
    ("interface", "nic"),
    [
        ("Wi-Fi", Nic(9, "192.0.2.7", "Wi-Fi")),
        ("Ethernet 2", Nic(12, "198.51.100.7", "Ethernet 2")),
        ("Ethernet 3", Nic(14, "", "Ethernet 3")),
        ("198.51.100.7", Nic(12, "198.51.100.7", "Ethernet 2")),
        ("127.0.0.1", Nic(1, "127.0.0.1", "Loopback Pseudo-Interface 1", loopback=True)),
    ],
)
def test_elsewhere_interfaces_are_found_by_the_names_that_people_see(
    elsewhere: Platform, interface: str, nic: Nic
) -> None:
    (found,) = find_nics(interface, Group.of(interface=interface), elsewhere)
    by_index = elsewhere == "darwin" and interface == nic.name
    assert found == (nic._replace(address="") if by_index else nic)


@needs_linux
def test_elsewhere_all_are_those_that_lead_to_a_network(elsewhere: Platform) -> None:
    names = [nic.name for nic in find_nics("all", Group.of(interface="all"), elsewhere)]
    assert names == ["Wi-Fi", "Ethernet 2", *(["awdl0"] if elsewhere == "win32" else [])]


@needs_linux
def test_elsewhere_an_unknown_name_is_told_with_those_there_are(elsewhere: Platform) -> None:
    with pytest.raises(InvalidInterface, match='"Wi-Fi"' if elsewhere == "win32" else "there are"):
        find_nics("Ethernet 7", Group.of(interface="Ethernet 7"), elsewhere)


class Routed(socket.socket):
    """A socket of a machine whose default route is that of its interface ``address``."""

    address = "192.0.2.7"

    def connect(self, address: Any) -> None:
        if not self.address:
            raise OSError(101, "Network is unreachable")

    def getsockname(self) -> Any:
        return self.address, 5


@needs_linux
def test_elsewhere_the_default_is_a_real_interface_and_follows_the_route(
    elsewhere: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", Routed)
    assert find_nics("default", GROUP, elsewhere) == [Nic(9, "192.0.2.7", "Wi-Fi")]
    monkeypatch.setattr(Routed, "address", "198.51.100.7")
    assert find_nics("default", GROUP, elsewhere) == [Nic(12, "198.51.100.7", "Ethernet 2")]
    monkeypatch.setattr(Routed, "address", "")
    with pytest.raises(NoRoute, match="name the interface"):
        find_nics("default", GROUP, elsewhere)


@needs_namespaces
def test_an_interface_that_refuses_is_tried_again_after_growing_pauses_and_at_once_after_a_change() -> None:
    code = """
import subprocess, threading
import rx_multicast_ipc as ipc
from rx_multicast_ipc.errors import CannotOpen
from rx_multicast_ipc.transport.udp import join_refusals, memberships
Listener, tries = memberships.Listener, []
join_refusals._FIRST_PAUSE, join_refusals._LONGEST_PAUSE = 0.01, 0.08
enough, patient, willing = threading.Event(), threading.Event(), threading.Event()
class Refusing(Listener):
    def __init__(self, group, nic, *rest):
        if nic.name == "net1" and not willing.is_set():
            raise CannotOpen("not on this one")
        super().__init__(group, nic, *rest)
memberships.Listener = Refusing
look_in = memberships.Memberships._look_in
def note(self, seconds):
    refusals = [refusal.pause for refusal in self._refusals._all.values()]
    if refusals and refusals != tries[-1:]:
        tries.extend(refusals)
    if tries and tries[-1] == 0.08:
        enough.set()
    look_in(self, seconds)
    if refusals == [1000.0]:
        patient.set()
memberships.Memberships._look_in = note
with ipc.open_channel(interface="all") as channel:
    assert enough.wait(60), tries
    print([each for number, each in enumerate(tries) if each not in tries[:number]])
    join_refusals._FIRST_PAUSE = 1000.0
    subprocess.run(["ip", "addr", "add", "203.0.113.5/24", "dev", "net1"], check=True)
    assert patient.wait(60)
    joined = threading.Event()
    channel.events.subscribe(lambda event: event.interface == "net1" and joined.set())
    willing.set()
    subprocess.run(["ip", "addr", "add", "203.0.113.6/24", "dev", "net1"], check=True)
    print(joined.wait(60))
"""
    script = f"{LINK} && ip addr add 203.0.113.4/24 dev net1"
    assert told_apart(code, script) == "[0.01, 0.02, 0.04, 0.08]\nTrue\n"
