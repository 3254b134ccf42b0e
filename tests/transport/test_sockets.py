"""The system calls that each platform gets, as data: read on any platform."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct

import pytest

from rx_multicast_ipc import CannotOpen, MulticastError, NoRoute, PortInUse, Unsupported
from rx_multicast_ipc.group import Group
from rx_multicast_ipc.transport import _sockets
from rx_multicast_ipc.transport._sockets import Bind, Nic, Option, Platform, receive_plan, send_plan

from ..helpers import needs_linux

LOOPBACK4 = Group.of(61088)
NETWORK4 = Group.of(61088, interface="eth0", ttl=3)
ADDRESS4 = Group.of(61088, interface="192.0.2.7")
NETWORK6 = Group.of(61088, "ff02::1:7", interface="eth0")

LO = Nic(1, "127.0.0.1")
ETH0 = Nic(2)
BY_ADDRESS = Nic(0, "192.0.2.7")

GROUP4 = socket.inet_aton("224.0.2.1")
GROUP6 = ipaddress.ip_address("ff02::1:7").packed
HOME = socket.inet_aton("127.0.0.1")


def index(number: int) -> bytes:
    return struct.pack("=i", number)


REUSE = Option("SOL_SOCKET", "SO_REUSEADDR", 1)
REUSE_PORT = Option("SOL_SOCKET", "SO_REUSEPORT", 1)
RCVBUF = Option("SOL_SOCKET", "SO_RCVBUF", 4096, best_effort=True)
RCVBUFFORCE = Option("SOL_SOCKET", "SO_RCVBUFFORCE", 4096, best_effort=True)
SNDBUF = Option("SOL_SOCKET", "SO_SNDBUF", 1 << 20, best_effort=True)
LOOP4 = Option("IPPROTO_IP", "IP_MULTICAST_LOOP", 1)
LOOP6 = Option("IPPROTO_IPV6", "IPV6_MULTICAST_LOOP", 1)
V6ONLY = Option("IPPROTO_IPV6", "IPV6_V6ONLY", 1)
JOIN6 = Option("IPPROTO_IPV6", "IPV6_JOIN_GROUP", GROUP6 + struct.pack("=I", 2))


def join4(interface: bytes) -> Option:
    return Option("IPPROTO_IP", "IP_ADD_MEMBERSHIP", GROUP4 + interface)


def out4(interface: bytes) -> Option:
    return Option("IPPROTO_IP", "IP_MULTICAST_IF", interface)


def ttl4(ttl: int) -> Option:
    return Option("IPPROTO_IP", "IP_MULTICAST_TTL", ttl)


LINUX_RECEIVES = [REUSE, RCVBUF, RCVBUFFORCE, Option("IPPROTO_IP", "IP_MULTICAST_ALL", 0), Bind("224.0.2.1", 61088)]
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
        ("darwin", LOOPBACK4, LO, [REUSE, REUSE_PORT, RCVBUF, Bind("224.0.2.1", 61088), join4(HOME)]),
        ("darwin", NETWORK4, ETH0, [REUSE, REUSE_PORT, RCVBUF, Bind("224.0.2.1", 61088), join4(bytes(4) + index(2))]),
        (
            "darwin",
            ADDRESS4,
            BY_ADDRESS,
            [REUSE, REUSE_PORT, RCVBUF, Bind("224.0.2.1", 61088), join4(b"\xc0\0\x02\x07")],
        ),
        ("darwin", NETWORK6, ETH0, [REUSE, REUSE_PORT, V6ONLY, RCVBUF, Bind("ff02::1:7", 61088, 2), JOIN6]),
        ("win32", LOOPBACK4, Nic(0, "127.0.0.1"), [REUSE, RCVBUF, LOOP4, Bind("", 61088), join4(HOME)]),
        ("win32", NETWORK4, ETH0, [REUSE, RCVBUF, LOOP4, Bind("", 61088), join4(b"\0\0\0\x02")]),
        ("win32", NETWORK6, ETH0, [REUSE, V6ONLY, RCVBUF, LOOP6, Bind("", 61088), JOIN6]),
    ],
)
def test_how_the_group_is_listened_to(platform: Platform, group: Group, nic: Nic, plan: list[Option | Bind]) -> None:
    assert receive_plan(group, nic, 4096, platform) == plan


@pytest.mark.parametrize(
    ("platform", "group", "nic", "plan"),
    [
        (
            *("linux", LOOPBACK4, LO),
            [*LINUX_SENDS, out4(bytes(4) + HOME + index(1)), ttl4(0), LOOP4, Bind("127.0.0.1", 0)],
        ),
        ("linux", NETWORK4, ETH0, [*LINUX_SENDS, out4(bytes(8) + index(2)), ttl4(3), LOOP4, Bind("", 0)]),
        ("linux", Group.of(interface="default"), Nic(), [*LINUX_SENDS, ttl4(1), LOOP4, Bind("", 0)]),
        (
            *("linux", NETWORK6, ETH0),
            [
                *(V6ONLY, *LINUX_SENDS, Option("IPPROTO_IPV6", "IPV6_MULTICAST_IF", 2)),
                *(Option("IPPROTO_IPV6", "IPV6_MULTICAST_HOPS", 1), LOOP6, Bind("", 0)),
            ],
        ),
        (
            *("darwin", LOOPBACK4, LO),
            [REUSE, REUSE_PORT, RCVBUF, SNDBUF, out4(HOME), ttl4(0), LOOP4, Bind("127.0.0.1", 0)],
        ),
        (
            *("darwin", NETWORK4, ETH0),
            [
                *(REUSE, REUSE_PORT, RCVBUF, SNDBUF, Option("IPPROTO_IP", "IP_MULTICAST_IFINDEX", 2)),
                *(ttl4(3), LOOP4, Bind("", 0)),
            ],
        ),
        (
            *("win32", LOOPBACK4, Nic(0, "127.0.0.1")),
            [RCVBUF, SNDBUF, out4(HOME), ttl4(0), LOOP4, Bind("127.0.0.1", 0), join4(HOME)],
        ),
        ("win32", NETWORK4, ETH0, [RCVBUF, SNDBUF, out4(b"\0\0\0\x02"), ttl4(3), LOOP4, Bind("", 0)]),
    ],
)
def test_how_datagrams_are_sent(platform: Platform, group: Group, nic: Nic, plan: list[Option | Bind]) -> None:
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
    nic = _sockets.find_nic(LOOPBACK4)
    with _sockets.open_socket(LOOPBACK4, send_plan(LOOPBACK4, nic, 4096)) as sender:
        assert sender.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 0
        assert sender.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4) == HOME
        assert not sender.getblocking()
    with _sockets.open_socket(LOOPBACK4, receive_plan(LOOPBACK4, nic, 4096)) as listener:
        assert listener.getsockopt(socket.IPPROTO_IP, 49) == 0
        assert listener.getsockname() == ("224.0.2.1", 61088)


@needs_linux
def test_finding_a_name_and_an_address() -> None:
    assert _sockets.find_nic(Group.of(interface="lo")) == Nic(socket.if_nametoindex("lo"), "127.0.0.1")
    assert _sockets.find_nic(Group.of(interface="127.0.0.1")) == Nic(0, "127.0.0.1")
    assert _sockets.find_nic(Group.of(interface="default")) == Nic()
    by_scope = Group.of(61088, "ff02::1:7", "fe80::1%lo")
    assert _sockets.find_nic(by_scope) == Nic(socket.if_nametoindex("lo"))


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.EADDRINUSE, PortInUse, "choose another port"),
        (errno.ENODEV, NoRoute, 'interface="loopback"'),
        (errno.ENETUNREACH, NoRoute, 'interface="loopback"'),
        (errno.EACCES, CannotOpen, "below 1024"),
        (errno.EMFILE, CannotOpen, "ulimit"),
        (errno.EAFNOSUPPORT, Unsupported, "has no IPv4"),
        (errno.EIO, CannotOpen, "cannot open 224.0.2.1:61088 on loopback"),
    ],
)
def test_what_the_system_says_while_opening_becomes_advice(
    number: int, kind: type[MulticastError], advice: str
) -> None:
    error = _sockets.cannot_open(LOOPBACK4, OSError(number, "reason"))
    assert type(error) is kind
    assert advice in str(error)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EAGAIN, "pace the sends"),
        (errno.ENOBUFS, "pace the sends"),
        (errno.EPERM, "firewall"),
        (errno.ENETUNREACH, "bring it up"),
        (errno.EHOSTUNREACH, "Local Network"),
        (errno.EMSGSIZE, "smaller"),
        (errno.EINVAL, "another interface"),
        (errno.EIO, "ops.retry()"),
    ],
)
def test_what_the_system_says_while_sending_becomes_advice(number: int, advice: str) -> None:
    assert advice in str(_sockets.send_failed(LOOPBACK4, ("127.0.0.1", 7), OSError(number, "reason")))


@needs_linux
@pytest.mark.parametrize("name", ["fe80::1%lo", "2001:db8::1"])
def test_an_address_that_was_looked_up_keeps_its_link(name: str) -> None:
    assert _sockets.look_up(name, NETWORK6) == name
