"""Faults of Wine, shown with plain calls: each test says what Windows does, and fails under Wine."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from . import wine

LOOPBACK = socket.inet_aton("127.0.0.1")
GROUP, OTHER = "239.77.0.1", "239.77.0.2"

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="Windows, and what stands in for it, alone")


def listener(port: int, group: str) -> socket.socket:
    """Joined on loopback, by the book of Windows (IP_ADD_MEMBERSHIP of "IPPROTO_IP Socket Options")."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind(("", port))
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + LOOPBACK)
    opened.settimeout(1)
    return opened


@pytest.mark.wine_fault("groups of others", shown=True)
def test_a_socket_hears_the_groups_that_it_joined(port: int) -> None:
    with listener(port, GROUP) as one, listener(port, OTHER) as other, socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, LOOPBACK)
        sender.sendto(b"x", (OTHER, port))
        assert other.recv(10) == b"x"
        with pytest.raises(TimeoutError):
            one.recv(10)


@pytest.mark.wine_fault("sources", shown=True)
def test_a_socket_joins_a_group_of_one_source(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as opened:
        opened.bind(("", port))
        group, source = socket.inet_aton("232.1.1.1"), socket.inet_aton("192.0.2.1")
        # struct ip_mreq_source of ws2ipdef.h: imr_multiaddr, imr_sourceaddr, imr_interface
        opened.setsockopt(socket.IPPROTO_IP, 15, group + source + LOOPBACK)  # IP_ADD_SOURCE_MEMBERSHIP


@pytest.mark.wine_fault("symbolic links", shown=True)
def test_a_symbolic_link_is_one(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    assert os.path.islink(link)


def test_every_fault_is_shown_here() -> None:
    source = Path(__file__).read_text()
    assert all(f'wine_fault("{name}", shown=True)' in source for name in wine.FAULTS)
