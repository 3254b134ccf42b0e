"""A socket filter that keeps an end's own datagrams from its group socket: they are delivered from memory.

Without one, each send wakes the sender itself, to read what it knows. A classic BPF program (bpf(4), and
Documentation/networking/filter.rst of Linux) drops datagrams by their source port and address. The kernel counts what
a filter drops with what a full buffer drops, so whoever reads that count takes the own ones off again.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterable
from typing import Final

from ...message import Address
from ...validation.numeric_address import Ip
from .platform import PLATFORM

_SO_ATTACH_FILTER: Final = 26
_NETWORK_HEADER: Final = 0xFFF00000  # SKF_NET_OFF, -0x100000
_SOURCE: Final = {4: 12, 16: 8}
"""Where the source address stands in the header, by its length (RFC 791, RFC 8200)."""

_LOAD_HALF, _LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x20, 0x15, 0x06
_WHOLE, _NOTHING = 0xFFFFFFFF, 0


def attach(opened: socket.socket, addresses: Iterable[Address]) -> bool:
    """Let ``opened`` drop what comes from ``addresses``, instead of those before; whether the system can."""
    if PLATFORM != "linux":
        return False
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _program(addresses))
    buffer = ctypes.create_string_buffer(program)
    try:
        opened.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer)),
        )
    except OSError:  # a sandbox may refuse it
        return False
    return True


def _program(addresses: Iterable[Address]) -> list[tuple[int, int, int, int]]:
    """Instructions, each ``(code, jump if true, jump if false, operand)``; to a filter, a packet begins with UDP."""
    program: list[tuple[int, int, int, int]] = []
    for address, port in sorted(addresses):
        ip = Ip.parse(address)
        if ip is None:
            continue
        words = struct.unpack(f"!{len(ip.packed) // 4}I", ip.packed)
        length = 2 * len(words) + 1
        program.append((_LOAD_HALF, 0, 0, 0))
        program.append((_JUMP_IF_EQUAL, 0, length, port))
        for number, word in enumerate(words):
            program.append((_LOAD_WORD, 0, 0, _NETWORK_HEADER + _SOURCE[len(ip.packed)] + 4 * number))
            program.append((_JUMP_IF_EQUAL, 0, length - 2 * number - 2, word))
        program.append((_RETURN, 0, 0, _NOTHING))
    return [*program, (_RETURN, 0, 0, _WHOLE)]
