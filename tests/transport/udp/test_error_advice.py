from __future__ import annotations

import errno

import pytest

from rx_multicast_ipc import CannotOpen, MulticastError, NoRoute, PortInUse, Unsupported
from rx_multicast_ipc.group import Group
from rx_multicast_ipc.transport.udp.error_advice import cannot_open, is_transient, send_failed

GROUP = Group.of(61088)


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
    error = cannot_open(GROUP, OSError(number, "reason"))
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
    assert advice in str(send_failed(GROUP, ("127.0.0.1", 7), OSError(number, "reason")))


@pytest.mark.parametrize("name", ["ECONNRESET", "ENETDOWN", "EHOSTUNREACH", "ENOBUFS", "ENODEV"])
def test_a_read_that_fails_because_of_a_peer_or_a_link_is_no_fault(name: str) -> None:
    assert is_transient(OSError(getattr(errno, name), name))
