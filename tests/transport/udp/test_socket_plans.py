"""The system calls that each platform gets, as data: read on any platform."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from typing import Any

import pytest

from rx_multicast_ipc.group import Group
from rx_multicast_ipc.transport.udp import host_addresses, socket_options, socket_plans
from rx_multicast_ipc.transport.udp.interfaces import Nic, find_nics
from rx_multicast_ipc.transport.udp.platform import PLATFORM, Platform
from rx_multicast_ipc.transport.udp.socket_plans import Bind, Ioctl, Option, Step, membership, receive_plan, send_plan

from ...helpers import needs_linux
from .socket_names import NAMES_OF_PYTHON

LOOPBACK4 = Group.of(61088)
NETWORK4 = Group.of(61088, interface="eth0", ttl=3)
ADDRESS4 = Group.of(61088, interface="192.0.2.7")
DEFAULT4 = Group.of(61088, interface="default")
SEVERAL4 = Group.of(61088, interface=["eth0", "eth1"])
NETWORK6 = Group.of(61088, "ff02::1:7", interface="eth0")

LO = Nic(1, "127.0.0.1")
ETH0 = Nic(2)
BY_ADDRESS = Nic(0, "192.0.2.7")

GROUP4 = socket.inet_aton("224.0.2.1")
GROUP6 = ipaddress.ip_address("ff02::1:7").packed
SOURCE6 = ipaddress.ip_address("fe80::2").packed
HOME = socket.inet_aton("127.0.0.1")


def index(number: int) -> bytes:
    return struct.pack("=i", number)


REUSE = Option("SOL_SOCKET", "SO_REUSEADDR", 1)
REUSE_PORT = Option("SOL_SOCKET", "SO_REUSEPORT", 1)
RCVBUF = Option("SOL_SOCKET", "SO_RCVBUF", 4096, best_effort=True, or_less=True)
RCVBUFFORCE = Option("SOL_SOCKET", "SO_RCVBUFFORCE", 4096, best_effort=True)
SNDBUF = Option("SOL_SOCKET", "SO_SNDBUF", 1 << 20, best_effort=True, or_less=True)
NO_RESET = Ioctl(0x9800000C, False)  # SIO_UDP_CONNRESET
LOOP4 = Option("IPPROTO_IP", "IP_MULTICAST_LOOP", 1)
LOOP6 = Option("IPPROTO_IPV6", "IPV6_MULTICAST_LOOP", 1)
V6ONLY = Option("IPPROTO_IPV6", "IPV6_V6ONLY", 1)
JOIN6 = Option("IPPROTO_IPV6", "IPV6_JOIN_GROUP", GROUP6 + struct.pack("=I", 2))


def storage(*parts: bytes) -> bytes:
    return b"".join(parts).ljust(128, b"\0")


def join4(interface: bytes) -> Option:
    return Option("IPPROTO_IP", "IP_ADD_MEMBERSHIP", GROUP4 + interface)


def join_by_index(number: int) -> Option:
    """``struct group_req``, packed to four bytes (macOS), of which IP_ADD_MEMBERSHIP would read no index."""
    return Option("IPPROTO_IP", "MCAST_JOIN_GROUP", index(number) + storage(b"\x10\x02\0\0", GROUP4))


def out4(interface: bytes) -> Option:
    return Option("IPPROTO_IP", "IP_MULTICAST_IF", interface)


def unicast4(number: int) -> Option:
    return Option("IPPROTO_IP", "IP_UNICAST_IF", struct.pack("!I", number), best_effort=True)


PKTINFO4 = Option("IPPROTO_IP", "IP_PKTINFO", 1)
UNICAST6 = Option("IPPROTO_IPV6", "IPV6_UNICAST_IF", struct.pack("!I", 2), best_effort=True)


def ttl4(ttl: int) -> Option:
    return Option("IPPROTO_IP", "IP_MULTICAST_TTL", ttl)


ALL4 = Option("IPPROTO_IP", "IP_MULTICAST_ALL", 0, best_effort=True)
LINUX_RECEIVES = [REUSE, RCVBUF, RCVBUFFORCE, ALL4, Bind("224.0.2.1", 61088)]
LINUX_SENDS = [RCVBUF, RCVBUFFORCE, SNDBUF]


@pytest.mark.parametrize(
    ("platform", "group", "nic", "plan"),
    [
        ("linux", LOOPBACK4, LO, [*LINUX_RECEIVES, join4(HOME + index(1))]),
        ("linux", NETWORK4, ETH0, [*LINUX_RECEIVES, join4(bytes(4) + index(2))]),
        ("linux", ADDRESS4, BY_ADDRESS, [*LINUX_RECEIVES, join4(socket.inet_aton("192.0.2.7") + index(0))]),
        (
            "linux",
            NETWORK6,
            ETH0,
            [
                *(REUSE, V6ONLY, RCVBUF, RCVBUFFORCE),
                Option("IPPROTO_IPV6", "IPV6_MULTICAST_ALL", 0, best_effort=True),
                *(Bind("ff02::1:7", 61088, 2), JOIN6),
            ],
        ),
        ("darwin", LOOPBACK4, LO, [REUSE, REUSE_PORT, RCVBUF, Bind("224.0.2.1", 61088), join_by_index(1)]),
        ("darwin", NETWORK4, ETH0, [REUSE, REUSE_PORT, RCVBUF, Bind("224.0.2.1", 61088), join_by_index(2)]),
        (
            "darwin",
            ADDRESS4,
            BY_ADDRESS,
            [REUSE, REUSE_PORT, RCVBUF, Bind("224.0.2.1", 61088), join4(b"\xc0\0\x02\x07")],
        ),
        ("darwin", NETWORK6, ETH0, [REUSE, REUSE_PORT, V6ONLY, RCVBUF, Bind("ff02::1:7", 61088, 2), JOIN6]),
        ("win32", LOOPBACK4, Nic(1, "127.0.0.1"), [REUSE, RCVBUF, LOOP4, Bind("", 61088), join4(HOME)]),
        ("win32", NETWORK4, ETH0, [REUSE, RCVBUF, LOOP4, Bind("", 61088), join4(b"\0\0\0\x02")]),
        ("win32", NETWORK6, ETH0, [REUSE, V6ONLY, RCVBUF, LOOP6, Bind("", 61088), JOIN6]),
    ],
)
def test_how_the_group_is_listened_to(platform: Platform, group: Group, nic: Nic, plan: list[Step]) -> None:
    assert receive_plan(group, nic, 4096, platform) == plan


@pytest.mark.parametrize(
    ("platform", "group", "nic", "plan"),
    [
        (
            *("linux", LOOPBACK4, LO),
            [*LINUX_SENDS, out4(bytes(4) + HOME + index(1)), ttl4(0), LOOP4, Bind("127.0.0.1", 0)],
        ),
        (
            *("linux", NETWORK4, ETH0),
            [*LINUX_SENDS, unicast4(2), out4(bytes(8) + index(2)), ttl4(3), LOOP4, Bind("", 0)],
        ),
        (
            *("linux", SEVERAL4, ETH0),
            [*LINUX_SENDS, out4(bytes(8) + index(2)), PKTINFO4, ttl4(1), LOOP4, Bind("", 0)],
        ),
        ("linux", SEVERAL4, None, [*LINUX_SENDS, PKTINFO4, ttl4(1), LOOP4, Bind("", 0)]),
        ("linux", DEFAULT4, Nic(), [*LINUX_SENDS, ttl4(1), LOOP4, Bind("", 0)]),
        ("linux", DEFAULT4, ETH0, [*LINUX_SENDS, out4(bytes(8) + index(2)), ttl4(1), LOOP4, Bind("", 0)]),
        (
            *("linux", NETWORK6, ETH0),
            [
                *(V6ONLY, *LINUX_SENDS, UNICAST6, Option("IPPROTO_IPV6", "IPV6_MULTICAST_IF", 2)),
                *(Option("IPPROTO_IPV6", "IPV6_MULTICAST_HOPS", 1), LOOP6, Bind("", 0)),
            ],
        ),
        (
            *("darwin", LOOPBACK4, LO),
            [RCVBUF, SNDBUF, out4(HOME), ttl4(0), LOOP4, Bind("127.0.0.1", 0)],
        ),
        (
            *("darwin", NETWORK4, ETH0),
            [
                *(RCVBUF, SNDBUF, Option("IPPROTO_IP", "IP_MULTICAST_IFINDEX", 2)),
                *(ttl4(3), LOOP4, Bind("", 0)),
            ],
        ),
        (
            *("win32", LOOPBACK4, Nic(1, "127.0.0.1")),
            [RCVBUF, SNDBUF, NO_RESET, out4(HOME), ttl4(0), LOOP4, Bind("127.0.0.1", 0), join4(HOME)],
        ),
        (
            *("win32", NETWORK6, ETH0),
            [
                *(V6ONLY, RCVBUF, SNDBUF, NO_RESET),
                Option("IPPROTO_IPV6", "IPV6_UNICAST_IF", struct.pack("=I", 2), best_effort=True),
                *(Option("IPPROTO_IPV6", "IPV6_MULTICAST_IF", 2), Option("IPPROTO_IPV6", "IPV6_MULTICAST_HOPS", 1)),
                *(LOOP6, Bind("", 0)),
            ],
        ),
        (
            "win32",
            NETWORK4,
            ETH0,
            [RCVBUF, SNDBUF, NO_RESET, unicast4(2), out4(b"\0\0\0\x02"), ttl4(3), LOOP4, Bind("", 0)],
        ),
        ("win32", SEVERAL4, ETH0, [RCVBUF, SNDBUF, NO_RESET, out4(b"\0\0\0\x02"), ttl4(1), LOOP4, Bind("", 0)]),
    ],
)
def test_how_datagrams_are_sent(platform: Platform, group: Group, nic: Nic, plan: list[Step]) -> None:
    assert send_plan(group, nic, 4096, platform) == plan


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_no_platform_lets_a_loopback_channels_datagrams_out(platform: Platform) -> None:
    nic = Nic(0 if platform == "win32" else 1, "127.0.0.1")
    steps = send_plan(LOOPBACK4, nic, 4096, platform)
    ttls = [step.value for step in steps if isinstance(step, Option) and step.name == "IP_MULTICAST_TTL"]
    interfaces = [step.value for step in steps if isinstance(step, Option) and step.name == "IP_MULTICAST_IF"]
    assert ttls == [0]
    assert all(isinstance(value, bytes) and HOME in value for value in interfaces)
    assert interfaces


@needs_linux
def test_a_plan_is_what_the_kernel_then_reports() -> None:
    (nic,) = find_nics("loopback", LOOPBACK4)
    with socket_options.open_socket(LOOPBACK4, send_plan(LOOPBACK4, nic, 4096)) as sender:
        assert sender.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 0
        assert sender.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4) == HOME
        assert not sender.getblocking()
    with socket_options.open_socket(LOOPBACK4, receive_plan(LOOPBACK4, nic, 4096)) as listener:
        assert listener.getsockopt(socket.IPPROTO_IP, 49) == 0
        assert listener.getsockname() == ("224.0.2.1", 61088)


ALIGNED = bytes(4) if struct.calcsize("P") == 8 else b""
"""What stands before a ``sockaddr_storage`` in a Linux of 64 bits."""


@pytest.mark.parametrize(
    ("platform", "request4", "request6"),
    [
        (
            "linux",
            index(2) + ALIGNED + storage(b"\x02\0\0\0", GROUP4) + storage(b"\x02\0\0\0\x0a\0\0\x02"),
            index(2) + ALIGNED + storage(b"\x0a\0", bytes(6), GROUP6) + storage(b"\x0a\0", bytes(6), SOURCE6),
        ),
        (
            "darwin",
            index(2) + storage(b"\x10\x02\0\0", GROUP4) + storage(b"\x10\x02\0\0\x0a\0\0\x02"),
            index(2) + storage(b"\x1c\x1e", bytes(6), GROUP6) + storage(b"\x1c\x1e", bytes(6), SOURCE6),
        ),
        (
            "win32",
            index(2) + bytes(4) + storage(b"\x02\0\0\0", GROUP4) + storage(b"\x02\0\0\0\x0a\0\0\x02"),
            index(2) + bytes(4) + storage(b"\x17\0", bytes(6), GROUP6) + storage(b"\x17\0", bytes(6), SOURCE6),
        ),
    ],
)
def test_how_single_senders_are_listened_to(platform: Platform, request4: bytes, request6: bytes) -> None:
    """``struct group_source_req`` of RFC 3678, in each platform's layout."""
    group4 = Group.of(61088, interface="eth0", sources=["10.0.0.2"])
    group6 = Group.of(61088, "ff02::1:7", interface="eth0", sources=["fe80::2"])
    join, leave = "MCAST_JOIN_SOURCE_GROUP", "MCAST_LEAVE_SOURCE_GROUP"
    assert membership(group4, ETH0, platform) == [Option("IPPROTO_IP", join, request4)]
    assert membership(group4, ETH0, platform, leave=True) == [Option("IPPROTO_IP", leave, request4)]
    assert membership(group6, ETH0, platform) == [Option("IPPROTO_IPV6", join, request6)]


NAMES = (
    ("IP_ADD_MEMBERSHIP", "IP_DROP_MEMBERSHIP"),
    ("IPV6_JOIN_GROUP", "IPV6_LEAVE_GROUP"),
    ("MCAST_JOIN_GROUP", "MCAST_LEAVE_GROUP"),
)


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_group_is_left_with_what_it_was_joined_with(platform: Platform) -> None:
    for group in (NETWORK4, NETWORK6):
        (join,), (leave,) = membership(group, ETH0, platform), membership(group, ETH0, platform, leave=True)
        assert join.value == leave.value
        assert (join.name, leave.name) in NAMES


GROUPS = [
    LOOPBACK4,
    NETWORK4,
    ADDRESS4,
    DEFAULT4,
    SEVERAL4,
    Group.of(interface="all"),
    Group.of(interface="eth0", sources=["10.0.0.1"]),
    Group.of(sources=["127.0.0.1"]),
    NETWORK6,
    Group.of(address="ff05::1:7", interface="default"),
    Group.of(address="ff05::1:7", interface=["eth0", "eth1"]),
    Group.of(address="ff35::1:7", interface="eth0", sources=["fe80::1"]),
]


def names_in_plans(platform: Platform, group: Group) -> set[str]:
    """Levels and options of all that is done to a group's sockets."""
    names: set[str] = set()
    for nic in (ETH0, Nic(), LO, BY_ADDRESS) if group.family == "IPv4" else (ETH0, Nic()):
        plans = [
            receive_plan(group, nic, 4096, platform, gro=platform == "linux", tells=True),
            send_plan(group, nic, 4096, platform),
            membership(group, nic, platform, leave=True),
        ]
        names |= {
            name for plan in plans for step in plan if isinstance(step, Option) for name in (step.level, step.name)
        }
    return names


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_every_name_in_every_plan_is_known_on_its_platform(platform: Platform, group: Group) -> None:
    assert names_in_plans(platform, group) <= NAMES_OF_PYTHON[platform] | set(socket_plans.MISSING[platform])


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_this_python_knows_what_is_said_to_be_known_here(group: Group) -> None:
    """Not all of the list: a Python that was built beside old headers lacks some names that no plan has."""
    assert all(hasattr(socket, name) for name in names_in_plans(PLATFORM, group) & NAMES_OF_PYTHON[PLATFORM])


def test_where_a_buffer_is_too_large_half_of_it_is_asked_for() -> None:
    asked: list[int] = []

    class Frugal:
        def setsockopt(self, _level: int, _name: int, value: int) -> None:
            asked.append(value)
            if value > 8 << 20:
                raise OSError(errno.ENOBUFS, "No buffer space available")

    opened: Any = Frugal()
    socket_options.apply(opened, [Option("SOL_SOCKET", "SO_RCVBUF", 64 << 20, best_effort=True, or_less=True)])
    assert asked == [64 << 20, 32 << 20, 16 << 20, 8 << 20]


def test_on_32_bits_a_source_is_not_aligned_to_eight_bytes() -> None:
    request = socket_plans._group_request  # pyright: ignore[reportPrivateUsage]
    sizes = {bits: len(request(ETH0, "linux", "224.0.2.1", "10.0.0.2", pointer=bits // 8)) for bits in (32, 64)}
    assert sizes == {32: 260, 64: 264}
    assert len(request(ETH0, "win32", "224.0.2.1", "10.0.0.2", pointer=4)) == 264


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_sources_are_joined_at_the_address_that_the_group_is(platform: Platform) -> None:
    """Where the system's index of it is not known; on Windows always, whose join without sources is by address, too."""
    group = Group.of(61088, sources=["127.0.0.1"])
    request = GROUP4 + socket.inet_aton("127.0.0.1") + HOME
    nic = LO if platform == "win32" else LO._replace(number=0)
    assert membership(group, nic, platform) == [Option("IPPROTO_IP", "IP_ADD_SOURCE_MEMBERSHIP", request)]
    assert membership(group, nic, platform, leave=True) == [Option("IPPROTO_IP", "IP_DROP_SOURCE_MEMBERSHIP", request)]


@needs_linux
@pytest.mark.parametrize("name", ["fe80::1%lo", "2001:db8::1"])
def test_an_address_that_was_looked_up_keeps_its_link(name: str) -> None:
    assert host_addresses.look_up(name, NETWORK6) == name
