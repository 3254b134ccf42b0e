from __future__ import annotations

import errno
import socket

import pytest

from rx_multicast_ipc import CannotOpen, InvalidInterface
from rx_multicast_ipc.group import Group
from rx_multicast_ipc.transport.udp.interfaces import Nic, change_notices, find_nics

from ...helpers import needs_linux

GROUP4 = Group.of(61088)
GROUP6 = Group.of(61088, "ff02::1:7", interface="eth0")


@needs_linux
def test_loopback_is_found_by_each_of_its_names() -> None:
    number = socket.if_nametoindex("lo")
    found = [Nic(number, "127.0.0.1", "lo", loopback=True)]
    assert find_nics("loopback", GROUP4) == find_nics("lo", GROUP4) == find_nics("127.0.0.1", GROUP4) == found
    assert (
        find_nics("lo", GROUP6)
        == find_nics("fe80::1%lo", GROUP6)
        == find_nics("::1", GROUP6)
        == [Nic(number, "", "lo", loopback=True)]
    )


@needs_linux
def test_all_interfaces_do_not_include_loopback() -> None:
    assert "lo" not in [nic.name for nic in find_nics("all", GROUP4)]


@pytest.mark.parametrize(
    ("interface", "group"),
    [
        ("nosuch0", GROUP4),
        ("nosuch\0", GROUP4),
        ("203.0.113.9", GROUP4),
        ("fe80::1%nosuch0", GROUP6),
        ("fe80::1%9999999", GROUP6),
        (f"fe80::1%{10**30}", GROUP6),
        ("fe80::1%²", GROUP6),
    ],
)
def test_an_interface_that_is_not_there_is_told_with_those_that_are(interface: str, group: Group) -> None:
    with pytest.raises(InvalidInterface, match='there are "loopback", "default", "all"'):
        find_nics(interface, group)


@needs_linux
@pytest.mark.parametrize("interface", ["lo", "default", "all", "127.0.0.1"])
def test_without_a_descriptor_left_to_look_with_no_interface_is_said_to_be_gone(
    interface: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("rx_multicast_ipc.transport.udp.interface_watch.links", refuse)
    with pytest.raises(CannotOpen, match="ulimit"):
        find_nics(interface, GROUP4)


def test_platforms_without_notices_say_so() -> None:
    assert change_notices("win32") is None


@needs_linux
def test_notices_of_changes_are_to_be_had_without_privileges() -> None:
    notices = change_notices()
    assert notices is not None
    with notices, pytest.raises(BlockingIOError):
        notices.recv(100)


@needs_linux
def test_without_netlink_interfaces_are_found_as_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError

    monkeypatch.setattr("rx_multicast_ipc.transport.udp.interface_watch.links", refuse)
    monkeypatch.setattr("rx_multicast_ipc.transport.udp.interface_watch.change_notices", refuse)
    number = socket.if_nametoindex("lo")
    found = [Nic(number, "127.0.0.1", "lo", loopback=True)]
    assert find_nics("lo", GROUP4) == find_nics("loopback", GROUP4) == found
    assert find_nics("127.0.0.1", GROUP4) == [Nic(0, "127.0.0.1", "127.0.0.1")]
    assert find_nics("default", GROUP4) == [Nic(name="default")]
    assert change_notices() is None
    with pytest.raises(InvalidInterface, match="not an address of this machine"):
        find_nics("203.0.113.9", GROUP4)
