"""Sockets that are set up by a plan, and what the system then says of them. Source: socket(7)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Final

from ...group import Group
from .error_advice import cannot_open
from .platform import PLATFORM, windows_library
from .socket_plans import MISSING, MULTICAST_ALL, Bind, Ioctl, Option, Plan

_SMALLEST_BUFFER: Final = 1 << 16
"""Bytes below which a buffer is left as the system made it."""

_MEMINFO_WORDS: Final = 9
_MEMINFO_DROPS: Final = 8


def apply(opened: socket.socket, options: Sequence[Option]) -> None:
    """Set options on a socket; raises ``OSError``."""
    for option in options:
        _set(opened, option)


def open_socket(group: Group, plan: Plan) -> socket.socket:
    """A non-blocking socket set up by ``plan``; raises ``CannotOpen``, with nothing left open."""
    try:
        opened = socket.socket(socket_family(group), socket.SOCK_DGRAM)
    except (OSError, MemoryError) as error:
        raise cannot_open(group, error) from error
    doing = ""
    try:
        for step in plan:
            if isinstance(step, Bind):
                doing = "bind"
                opened.bind(socket_address(group, step))
            elif isinstance(step, Ioctl):
                _control(opened, step)
            else:
                doing = step.name
                _set(opened, step)
        opened.setblocking(False)
    except (OSError, MemoryError) as error:
        opened.close()
        raise cannot_open(group, error, doing) from error
    except BaseException:
        opened.close()
        raise
    return opened


def hears_others(opened: socket.socket, group: Group) -> bool:
    """Whether the kernel also gives a socket what others joined elsewhere, because IP_MULTICAST_ALL was refused."""
    if PLATFORM != "linux":
        return False
    level, name = MULTICAST_ALL[group.family]
    try:
        return opened.getsockopt(_number(level), _number(name)) != 0
    except OSError:
        return True


def granted_receive_buffer(opened: socket.socket) -> int:
    """Bytes of receive buffer, as one would ask for them."""
    granted = opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return granted // 2 if PLATFORM == "linux" else granted  # socket(7): the kernel doubles what was asked


def kernel_drops(opened: socket.socket) -> int | None:
    """How many datagrams the kernel dropped for this socket; None where it does not tell."""
    if PLATFORM != "linux":
        return None
    try:
        words = opened.getsockopt(socket.SOL_SOCKET, _number("SO_MEMINFO"), 4 * _MEMINFO_WORDS)
    except OSError:
        return None
    return struct.unpack_from("=I", words, 4 * _MEMINFO_DROPS)[0]


def socket_family(group: Group) -> socket.AddressFamily:
    """The family of a group's sockets."""
    return socket.AF_INET if group.family == "IPv4" else socket.AF_INET6


def socket_address(group: Group, bind: Bind) -> tuple[str, int] | tuple[str, int, int, int]:
    """What ``bind`` and ``connect`` take."""
    if group.family == "IPv4":
        return bind.address, bind.port
    return bind.address, bind.port, 0, bind.scope


def _number(name: str) -> int:
    return MISSING[PLATFORM].get(name) or getattr(socket, name)


def _set(opened: socket.socket, option: Option) -> None:
    value = option.value
    while True:
        try:
            opened.setsockopt(_number(option.level), _number(option.name), value)
        except OSError:
            if option.or_less and isinstance(value, int) and value > _SMALLEST_BUFFER:
                value //= 2
                continue
            if not option.best_effort:
                raise
        return


def _control(opened: socket.socket, ioctl: Ioctl) -> None:
    """``socket.ioctl`` knows other codes only."""
    import ctypes

    library = windows_library("ws2_32")
    value, length = ctypes.c_uint32(ioctl.value), ctypes.c_uint32()
    code, handle = ctypes.c_uint32(ioctl.code), ctypes.c_void_p(opened.fileno())
    library.WSAIoctl(handle, code, ctypes.byref(value), 4, None, 0, ctypes.byref(length), None, None)
