"""recvmmsg(2) and sendmmsg(2), which Python does not have, and the layouts that they take on 64-bit Linux.

The C library is called with the interpreter lock held (``PyDLL``), for no call here ever blocks, and giving the lock up
to a busy thread would cost more than the call. Sources: recvmmsg(2), sendmmsg(2), cmsg(3), seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from itertools import starmap
from typing import Any, Final

from .platform import PLATFORM

MMSGHDR: Final = struct.Struct("=QI4xQQQQi4xI4x")
IOVEC: Final = struct.Struct("=QQ")
DONTWAIT: Final = 0x40  # MSG_DONTWAIT, which the socket module has on Unix only

REFUSED: Final = frozenset({errno.ENOSYS, errno.EPERM})
"""What a call says that a sandbox, or an emulated kernel, does not allow."""


def _load(name: str, *types: Any) -> Any:
    try:
        function = getattr(ctypes.PyDLL(None, use_errno=True), name)
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = types
    return function


recvmmsg: Final = _load("recvmmsg", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
sendmmsg: Final = _load("sendmmsg", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

CALLABLE: Final = bool(recvmmsg and sendmmsg) and PLATFORM == "linux" and struct.calcsize("P") == 8
"""Whether the C library has both, and these are its layouts. What the kernel does is another question."""


def address_of(buffer: Any) -> int:
    """Where a writable buffer is, as long as it is kept."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def send_all(opened: socket.socket, payloads: Sequence[bytes], name: bytearray) -> int:
    """One sendmmsg; how many were sent, or -1 with ``errno``.

    Args:
        opened: the socket.
        payloads: a datagram each.
        name: where to, as a C structure; empty for a connected socket.
    """
    at_name = address_of(name) if name else 0
    pointers = (ctypes.c_char_p * len(payloads))(*payloads)
    addresses = memoryview(pointers).cast("B").cast("Q")
    vectors = bytearray().join(map(IOVEC.pack, addresses, map(len, payloads)))
    at = address_of(vectors)
    headers = bytearray().join(
        MMSGHDR.pack(at_name, len(name), at + IOVEC.size * number, 1, 0, 0, 0, 0) for number in range(len(payloads))
    )
    arguments = opened.fileno(), address_of(headers), len(payloads), DONTWAIT
    (done,) = starmap(sendmmsg, (arguments,))  # called so, no signal comes between the call and what it returns
    return done


def refuses_sendmmsg(opened: socket.socket) -> bool:
    """Whether the call itself is not allowed, whatever it is to send: told by sending nothing."""
    return sendmmsg(opened.fileno(), None, 0, DONTWAIT) < 0 and ctypes.get_errno() in REFUSED


def refuses_sendmsg(opened: socket.socket, destination: Any) -> bool:
    """The same: told by asking for out-of-band data, which UDP has not (EOPNOTSUPP)."""
    try:
        opened.sendmsg((b"",), (), socket.MSG_OOB, destination)
    except OSError as error:
        return error.errno in REFUSED
    return False
