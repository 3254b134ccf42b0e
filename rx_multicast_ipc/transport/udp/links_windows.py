"""What Windows tells of its network interfaces: GetAdaptersAddresses (iphlpapi.h), with the names that people see."""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Any, Final

from .interface_watch import Link
from .platform import windows_library

_SKIP: Final = 0x2 | 0x4 | 0x8
"""GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_MULTICAST, GAA_FLAG_SKIP_DNS_SERVER."""

_BUFFER_OVERFLOW: Final = 111
_NO_DATA: Final = 232
_UP: Final = 1  # IfOperStatusUp
_SOFTWARE_LOOPBACK: Final = 24  # IF_TYPE_SOFTWARE_LOOPBACK
_TUNNELS: Final = (23, 131)  # IF_TYPE_PPP, IF_TYPE_TUNNEL
_NO_MULTICAST: Final = 0x10  # IP_ADAPTER_NO_MULTICAST
_NOT_YET: Final = (1, 2)
"""IpDadStateTentative and IpDadStateDuplicate: nothing leaves from such an address. Wine knows no states."""

_INET: Final = 2
_INET6: Final = 23


class Unicast(ctypes.Structure):
    """``IP_ADAPTER_UNICAST_ADDRESS_LH``, as far as it is read."""


Unicast._fields_ = [
    ("length", ctypes.c_uint32),
    ("flags", ctypes.c_uint32),
    ("next", ctypes.POINTER(Unicast)),
    ("address", ctypes.c_void_p),
    ("address_length", ctypes.c_int),
    ("prefix_origin", ctypes.c_int),
    ("suffix_origin", ctypes.c_int),
    ("dad_state", ctypes.c_int),
]


class Adapter(ctypes.Structure):
    """``IP_ADAPTER_ADDRESSES_LH``, as far as it is read."""


Adapter._fields_ = [
    ("length", ctypes.c_uint32),
    ("number", ctypes.c_uint32),
    ("next", ctypes.POINTER(Adapter)),
    ("adapter_name", ctypes.c_void_p),
    ("first_unicast", ctypes.POINTER(Unicast)),
    ("first_anycast", ctypes.c_void_p),
    ("first_multicast", ctypes.c_void_p),
    ("first_dns_server", ctypes.c_void_p),
    ("dns_suffix", ctypes.c_void_p),
    ("description", ctypes.c_void_p),
    ("friendly_name", ctypes.c_void_p),
    ("physical_address", ctypes.c_ubyte * 8),
    ("physical_address_length", ctypes.c_uint32),
    ("flags", ctypes.c_uint32),
    ("mtu", ctypes.c_uint32),
    ("kind", ctypes.c_uint32),
    ("status", ctypes.c_int),
    ("number6", ctypes.c_uint32),
]


def links() -> list[Link]:
    """Every interface there is. Raises ``OSError``."""
    library = windows_library("iphlpapi")
    size = ctypes.c_uint32(1 << 14)
    buffer, code = ctypes.create_string_buffer(0), _BUFFER_OVERFLOW
    for _ in range(4):  # it may grow between two calls
        if code == _BUFFER_OVERFLOW:
            buffer = ctypes.create_string_buffer(size.value)
            code = library.GetAdaptersAddresses(0, _SKIP, None, buffer, ctypes.byref(size))
    if code == _NO_DATA:
        return []
    if code:
        raise OSError(code, os.strerror(code))
    return read(ctypes.cast(buffer, ctypes.POINTER(Adapter)))


def read(adapter: Any) -> list[Link]:
    """The list that a pointer to an :class:`Adapter` begins."""
    result: list[Link] = []
    while adapter:
        found = adapter.contents
        result.append(
            Link(
                *(found.number or found.number6, _text(found.friendly_name), found.status == _UP),
                *(not found.flags & _NO_MULTICAST, found.kind == _SOFTWARE_LOOPBACK, _addresses(found.first_unicast)),
                point_to_point=found.kind in _TUNNELS,
            )
        )
        adapter = found.next
    return result


def _addresses(unicast: Any) -> tuple[str, ...]:
    found: list[str] = []
    while unicast:
        entry = unicast.contents
        family = int.from_bytes(ctypes.string_at(entry.address, 2), "little")
        if entry.dad_state not in _NOT_YET and family == _INET:
            found.append(socket.inet_ntoa(ctypes.string_at(entry.address + 4, 4)))
        elif entry.dad_state not in _NOT_YET and family == _INET6:
            found.append(socket.inet_ntop(socket.AF_INET6, ctypes.string_at(entry.address + 8, 16)))
        unicast = entry.next
    return tuple(found)


def _text(at: int | None) -> str:
    """UTF-16 up to a NUL."""
    units = bytearray()
    while at:
        unit = ctypes.string_at(at + len(units), 2)
        if unit == b"\0\0":
            break
        units += unit
    return units.decode("utf-16-le", "replace")
