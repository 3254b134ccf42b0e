"""What Linux tells of its network interfaces, over rtnetlink(7): who they are, and that something changed."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct("=IHHII")  # struct nlmsghdr
_ATTRIBUTE: Final = struct.Struct("=HH")  # struct rtattr
_LINK: Final = struct.Struct("=BxHiII")  # struct ifinfomsg
_ADDRESS: Final = struct.Struct("=BBBBI")  # struct ifaddrmsg
_ROUTE: Final = struct.Struct("=BBBBBBBBI")  # struct rtmsg

_ERROR: Final = 2
_DONE: Final = 3
_NEW_LINK: Final = 16
_GET_LINK: Final = 18
_NEW_ADDRESS: Final = 20
_GET_ADDRESS: Final = 22
_GET_ROUTE: Final = 26

_REQUEST: Final = 0x1
_DUMP: Final = 0x300
_MULTI: Final = 0x2

_LINK_NAME: Final = 3
_ADDRESS_ADDRESS: Final = 1
_ADDRESS_LOCAL: Final = 2
_ADDRESS_BROADCAST: Final = 4
_ROUTE_DESTINATION: Final = 1
_ROUTE_INTERFACE: Final = 4

_TENTATIVE: Final = 0x40  # IFA_F_TENTATIVE: no other host was found with it yet, so nothing leaves from it

_UP: Final = 0x1
_LOOPBACK: Final = 0x8
_POINT_TO_POINT: Final = 0x10
_RUNNING: Final = 0x40
_MULTICAST: Final = 0x1000

_CHANGES: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, and addresses and routes of IPv4 and IPv6."""


class Link(NamedTuple):
    """An interface.

    Attributes:
        number: its index.
        name: such as ``"eth0"``.
        up: switched on, and with a carrier.
        multicast: able to.
        loopback: the host's own.
        addresses: of both families, those that can be used.
        broadcasts: those that go to all hosts of one of its networks.
        enabled: whether it is switched on, with a carrier or without; None where the system tells ``up`` alone.
        point_to_point: with one other end only, as tunnels are.
    """

    number: int
    name: str
    up: bool
    multicast: bool
    loopback: bool
    addresses: tuple[str, ...]
    broadcasts: tuple[str, ...] = ()
    enabled: bool | None = None
    point_to_point: bool = False


def links() -> list[Link]:
    """Every interface there is. Raises ``OSError``."""
    addresses: dict[int, list[str]] = {}
    broadcasts: dict[int, list[str]] = {}
    for kind, body in _ask(_GET_ADDRESS, _DUMP, _ADDRESS.pack(0, 0, 0, 0, 0)):
        family, prefix, flags, _, number = _ADDRESS.unpack_from(body)
        found = _attributes(body, _ADDRESS.size)
        packed = found.get(_ADDRESS_LOCAL) or found.get(_ADDRESS_ADDRESS)
        if kind == _NEW_ADDRESS and packed and family in (socket.AF_INET, socket.AF_INET6) and not flags & _TENTATIVE:
            addresses.setdefault(number, []).append(socket.inet_ntop(family, packed))
            if family == socket.AF_INET and prefix < 31:
                of_network = struct.unpack("!I", packed)[0] | (0xFFFFFFFF >> prefix)
                both = (struct.pack("!I", of_network), found.get(_ADDRESS_BROADCAST))
                broadcasts.setdefault(number, []).extend(socket.inet_ntoa(each) for each in dict.fromkeys(both) if each)
    result: list[Link] = []
    for kind, body in _ask(_GET_LINK, _DUMP, _LINK.pack(0, 0, 0, 0, 0)):
        _, _, number, flags, _ = _LINK.unpack_from(body)
        if kind == _NEW_LINK:
            name = os.fsdecode(_attributes(body, _LINK.size)[_LINK_NAME].rstrip(b"\0"))
            up = flags & (_UP | _RUNNING) == _UP | _RUNNING
            result.append(
                Link(
                    *(number, name, up, bool(flags & _MULTICAST), bool(flags & _LOOPBACK)),
                    *(tuple(addresses.get(number, ())), tuple(broadcasts.get(number, ()))),
                    *(bool(flags & _UP), bool(flags & _POINT_TO_POINT)),
                )
            )
    return result


def interface_to(destination: str) -> int:
    """The index of the interface by which the system's routes lead there. Raises ``OSError``: no route."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    packed = socket.inet_pton(family, destination)
    body = _ROUTE.pack(family, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _ROUTE_DESTINATION) + packed
    ((_, answer),) = _ask(_GET_ROUTE, 0, body)
    return struct.unpack("=i", _attributes(answer, _ROUTE.size)[_ROUTE_INTERFACE])[0]


def change_notices() -> socket.socket:
    """A non-blocking socket with something to read whenever an interface, address or route changed."""
    notices = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        notices.bind((0, _CHANGES))
        notices.setblocking(False)
    except BaseException:
        notices.close()
        raise
    return notices


def _ask(kind: int, flags: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages of an answer: their types and bodies."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
        asking.bind((0, 0))
        asking.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body)
        multi = True
        while multi:
            answer = asking.recv(1 << 16)
            at = 0
            while at < len(answer):
                length, kind, flags, _, _ = _HEADER.unpack_from(answer, at)
                content = answer[at + _HEADER.size : at + length]
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    number = -struct.unpack_from("=i", content)[0]
                    raise OSError(number, os.strerror(number))
                multi = bool(flags & _MULTI)
                yield kind, content
                at += (length + 3) & ~3


def _attributes(body: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found
