"""What macOS tells of its network interfaces: getifaddrs(3), which the C library of Linux has as well, and route(4)."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from contextlib import suppress
from typing import Any, Final, NamedTuple

from .interface_watch import Link


class Layout(NamedTuple):
    """How a system writes addresses and flags.

    Attributes:
        family_at, family_bytes: where a ``sockaddr`` says what it is.
        inet6: what it says for IPv6.
        multicast: IFF_MULTICAST.
    """

    family_at: int
    family_bytes: int
    inet6: int
    multicast: int


DARWIN: Final = Layout(1, 1, 30, 0x8000)
LINUX: Final = Layout(0, 2, 10, 0x1000)

_INET: Final = 2
_UP: Final = 0x1
_BROADCAST: Final = 0x2
_LOOPBACK: Final = 0x8
_POINT_TO_POINT: Final = 0x10
_RUNNING: Final = 0x40

_NOTICE: Final = struct.Struct("=HBBH2xi")  # struct rt_msghdr: length, version, type, interface, flags
_CHANGES: Final = frozenset({0x1, 0x2, 0x3, 0xC, 0xD, 0xE})
"""RTM_ADD, RTM_DELETE, RTM_CHANGE, RTM_NEWADDR, RTM_DELADDR, RTM_IFINFO."""

_ROUTES: Final = frozenset({0x1, 0x2, 0x3})
_OF_ONE_HOST: Final = 0x400 | 0x20000
"""RTF_LLINFO, RTF_WASCLONED: a neighbour was met or forgotten, which is no change of the network."""


class _IfAddrs(ctypes.Structure):
    pass


_IfAddrs._fields_ = [
    ("next", ctypes.POINTER(_IfAddrs)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
    ("netmask", ctypes.c_void_p),
    ("broadcast", ctypes.c_void_p),
    ("data", ctypes.c_void_p),
]


def links(layout: Layout = DARWIN) -> list[Link]:
    """Every interface there is. Raises ``OSError``."""
    c_library: Any = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_IfAddrs)()
    if c_library.getifaddrs(ctypes.byref(first)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    flags: dict[str, int] = {}
    addresses: dict[str, list[str]] = {}
    broadcasts: dict[str, list[str]] = {}
    try:
        entry: Any = first
        while entry:
            found = entry.contents
            name = os.fsdecode(found.name)
            flags[name] = found.flags
            address = _address(found.address, layout)
            if address:
                addresses.setdefault(name, []).append(address)
            if found.flags & _BROADCAST and "." in address:
                broadcasts.setdefault(name, []).append(_address(found.broadcast, layout))
            entry = found.next
    finally:
        c_library.freeifaddrs(first)
    return [
        Link(
            *(number, name, bits & (_UP | _RUNNING) == _UP | _RUNNING),
            *(bool(bits & layout.multicast), bool(bits & _LOOPBACK)),
            *(tuple(addresses.get(name, ())), tuple(filter(None, broadcasts.get(name, ())))),
            *(bool(bits & _UP), bool(bits & _POINT_TO_POINT)),
        )
        for name, bits in flags.items()
        if (number := _number(name))
    ]


def change_notices() -> socket.socket:
    """A non-blocking socket with something to read after a change of interfaces, addresses or routes."""
    notices = socket.socket(getattr(socket, "AF_ROUTE", 17), socket.SOCK_RAW)
    notices.setblocking(False)
    return notices


def tells_of_change(notice: bytes) -> bool:
    """Whether a notice is of a change.

    Most are not: each look-up of a route that there is not makes one (RTM_MISS), and so would each look at the routes.
    """
    if len(notice) < _NOTICE.size:
        return False
    _, _, kind, _, flags = _NOTICE.unpack_from(notice)
    return kind in _CHANGES and not (kind in _ROUTES and flags & _OF_ONE_HOST)


def _number(name: str) -> int:
    """The index of an interface; 0 if it went away since it was listed."""
    with suppress(OSError):
        return socket.if_nametoindex(name)
    return 0


def _address(at: int | None, layout: Layout) -> str:
    """The text of a ``sockaddr``; ``""`` if it is of another family."""
    if not at:
        return ""
    family = int.from_bytes(ctypes.string_at(at + layout.family_at, layout.family_bytes), "little")
    if family == _INET:
        return socket.inet_ntoa(ctypes.string_at(at + 4, 4))
    if family != layout.inet6:
        return ""
    packed = ctypes.string_at(at + 8, 16)
    if packed[0] == 0xFE and packed[1] & 0xC0 == 0x80:  # BSD keeps the link's index within the address (KAME)
        packed = packed[:2] + bytes(2) + packed[4:]
    return socket.inet_ntop(socket.AF_INET6, packed)
