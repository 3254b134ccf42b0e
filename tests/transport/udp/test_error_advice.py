from __future__ import annotations

import errno

import pytest

from rx_multicast_ipc import CannotOpen, MulticastError, NoRoute, PortInUse, Unsupported
from rx_multicast_ipc.group import Group
from rx_multicast_ipc.transport.udp.error_advice import cannot_open, is_transient, send_failed
from rx_multicast_ipc.transport.udp.platform import Platform

GROUP = Group.of(61088)


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.EADDRINUSE, PortInUse, "choose another port"),
        (errno.ENODEV, NoRoute, 'interface="loopback"'),
        (errno.ENETUNREACH, NoRoute, 'interface="loopback"'),
        (errno.EACCES, CannotOpen, "SELinux"),
        (errno.EPERM, CannotOpen, "a sandbox"),
        (errno.ENOBUFS, CannotOpen, "smaller receive_buffer"),
        (errno.ENOMEM, CannotOpen, "smaller receive_buffer"),
        (errno.EMFILE, CannotOpen, "ulimit"),
        (errno.EAFNOSUPPORT, Unsupported, "has no IPv4"),
        (errno.EIO, CannotOpen, "cannot open 224.0.2.1:61088 on loopback"),
    ],
)
def test_what_the_system_says_while_opening_becomes_advice(
    number: int, kind: type[MulticastError], advice: str
) -> None:
    error = cannot_open(GROUP, OSError(number, "reason"), platform="linux")
    assert type(error) is kind
    assert advice in str(error)


@pytest.mark.parametrize(
    ("group", "doing", "limit"),
    [
        (GROUP, "IP_ADD_MEMBERSHIP", "igmp_max_memberships"),
        (Group.of(61088, sources=["127.0.0.1"]), "MCAST_JOIN_SOURCE_GROUP", "igmp_max_msf"),
        (Group.of(61088, "ff02::1:7", interface="eth0"), "IPV6_JOIN_GROUP", "optmem_max"),
        (Group.of(61088, "ff02::1:7", interface="eth0", sources=["fe80::1"]), "MCAST_JOIN_SOURCE_GROUP", "mld_max_msf"),
    ],
)
def test_a_join_that_is_one_too_many_names_the_limit(group: Group, doing: str, limit: str) -> None:
    error = cannot_open(group, OSError(errno.ENOBUFS, "No buffer space available"), doing, "linux")
    assert type(error) is CannotOpen
    assert limit in str(error)


def test_a_port_that_windows_keeps_back_is_in_use() -> None:
    error = cannot_open(GROUP, OSError(errno.EACCES, "forbidden by its access permissions"), "bind", "win32")
    assert type(error) is PortInUse
    assert "excludedportrange" in str(error)
    assert "another port" in str(error)


def test_a_low_port_says_that_it_needs_privileges() -> None:
    assert "below 1024" in str(cannot_open(Group.of(5), OSError(errno.EACCES, "Permission denied"), platform="linux"))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EACCES, errno.EHOSTUNREACH, errno.ENETUNREACH])
@pytest.mark.parametrize(
    ("platform", "shows"),
    [
        ("linux", "ip route get 224.0.2.1"),
        ("darwin", "route -n get 224.0.2.1"),
        ("win32", "Find-NetRoute -RemoteIPAddress 224.0.2.1"),
    ],
)
def test_whatever_a_route_says_there_is_none(number: int, platform: Platform, shows: str) -> None:
    error = cannot_open(GROUP, OSError(number, "reason"), "route", platform)
    assert type(error) is NoRoute
    assert f"`{shows}`" in str(error)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOBUFS, errno.ENOMEM])
@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_no_advice_elsewhere_names_a_setting_of_linux(number: int, platform: Platform) -> None:
    advice = str(cannot_open(GROUP, OSError(number, "reason"), "IP_ADD_MEMBERSHIP", platform))
    assert "net." not in advice
    assert ("ulimit" in advice) == (platform == "darwin" and number == errno.EMFILE)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("can't start new thread")], ids=lambda error: type(error).__name__
)
def test_what_is_no_error_of_a_system_call_becomes_advice_too(error: Exception) -> None:
    assert type(cannot_open(GROUP, error)) is CannotOpen
    assert "close" in str(cannot_open(GROUP, error))


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EWOULDBLOCK, "pace the sends"),
        (errno.EACCES, "prohibit"),
        (errno.EAGAIN, "pace the sends"),
        (errno.ENOBUFS, "pace the sends"),
        (errno.EPERM, "firewall"),
        (errno.ENETUNREACH, "bring it up"),
        (errno.EHOSTUNREACH, "Local Network"),
        (errno.EMSGSIZE, "smaller"),
        (errno.EINVAL, "blackhole"),
        (errno.EIO, "ops.retry()"),
    ],
)
def test_what_the_system_says_while_sending_becomes_advice(number: int, advice: str) -> None:
    assert advice in str(send_failed(GROUP, ("127.0.0.1", 7), OSError(number, "reason")))


@pytest.mark.parametrize("name", ["ECONNRESET", "ENETDOWN", "EHOSTUNREACH", "ENOBUFS", "ENODEV"])
def test_a_read_that_fails_because_of_a_peer_or_a_link_is_no_fault(name: str) -> None:
    assert is_transient(OSError(getattr(errno, name), name))
