"""Many datagrams to one place, in as few system calls as the kernel lets.

How this works. A run of equal payloads becomes one UDP_SEGMENT send, which the kernel takes apart; what is not equal
goes by sendmmsg; and what a kernel or a sandbox does not do is left for what it does (:mod:`.kernel_features`).
What went is noted before each call that sends, and taken back where that fails, or in the instruction behind it: so
that it is right also where a signal interrupts a call that went.
Sources: sendmmsg(2), udp(7), cmsg(3).
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from . import kernel_features
from .kernel_features import SOL_UDP, UDP_SEGMENT
from .system_calls import REFUSED, refuses_sendmmsg, refuses_sendmsg, send_all

_MOST: Final = 64
"""Datagrams of one call: as many as one UDP_SEGMENT send may make on every kernel that has it."""

_MOST_BYTES: Final = 65_507
"""Bytes of one UDP_SEGMENT send."""

_SEGMENT_SIZE: Final = struct.Struct("=H")


class SentMany:
    """What became of many payloads, so far.

    Attributes:
        payloads: how many were sent: all of them, or those before one that failed, which is then to be sent alone.
        packets: how many the kernel saw: a GSO batch is one.
    """

    __slots__ = ("packets", "payloads")

    def __init__(self) -> None:
        self.payloads = self.packets = 0


def send_many(opened: socket.socket, payloads: Sequence[bytes], destination: Any, sent: SentMany) -> None:
    """Send ``payloads``, in order, in as few system calls as possible, and note in ``sent`` what went."""
    unequal: list[bytes] = []
    segments = kernel_features.current().udp_segment
    for size, run in groupby(payloads, len) if segments else ((0, payloads),):
        equal = list(run)
        if len(equal) < 2 or not 0 < size <= _MOST_BYTES // 2:
            unequal += equal
            continue
        if unequal:
            if not _send_unequal(opened, unequal, destination, sent):
                return
            unequal.clear()
        if not _send_equal(opened, equal, size, destination, sent):
            return
    _send_unequal(opened, unequal, destination, sent)


# Each of these says whether all went.


def _send_equal(opened: socket.socket, payloads: list[bytes], size: int, destination: Any, sent: SentMany) -> bool:
    length = min(_MOST, _MOST_BYTES // size)
    control = [(SOL_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(size))]
    for start in range(0, len(payloads), length):
        batch = payloads[start : start + length]
        data, count = (b"".join(batch),), len(batch)
        try:
            sent.payloads += count
            sent.packets += 1
            opened.sendmsg(data, control if count > 1 else (), 0, destination)
        except OSError as error:
            sent.payloads -= count
            sent.packets -= 1
            refused = error.errno in REFUSED and refuses_sendmsg(opened, destination)
            if refused:
                kernel_features.give_up("udp_segment")
            if refused or error.errno in (errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT):
                # The link has a smaller MTU, or its driver no checksum offload: datagram by datagram works.
                return _send_unequal(opened, payloads[start:], destination, sent)
            return False
    return True


def _send_unequal(opened: socket.socket, payloads: list[bytes], destination: Any, sent: SentMany) -> bool:
    name = _encode_name(opened.family, destination)
    for start in range(0, len(payloads), _MOST):
        if not kernel_features.current().sendmmsg:
            return _send_each(opened, payloads[start:], destination, sent)
        some = payloads[start : start + _MOST]
        done = send_all(opened, some, name)
        if done > 0:
            sent.payloads += done
            sent.packets += done
        elif ctypes.get_errno() in REFUSED and refuses_sendmmsg(opened):
            kernel_features.give_up("sendmmsg")
            return _send_each(opened, payloads[start:], destination, sent)
        if done < len(some):
            return False
    return True


def _send_each(opened: socket.socket, payloads: list[bytes], destination: Any, sent: SentMany) -> bool:
    for payload in payloads:
        try:
            sent.payloads += 1
            sent.packets += 1
            opened.sendto(payload, destination)
        except OSError:  # told by the one that is then sent alone
            sent.payloads -= 1
            sent.packets -= 1
            return False
    return True


def _encode_name(family: int, destination: Any) -> bytearray:
    if family == socket.AF_INET:
        return bytearray(
            struct.pack("=H", family) + struct.pack("!H4s8x", destination[1], socket.inet_aton(destination[0]))
        )
    address, port, *more = destination
    flow, scope = more or (0, 0)
    packed = socket.inet_pton(socket.AF_INET6, address)
    return bytearray(struct.pack("=H", family) + struct.pack("!HI16s", port, flow, packed) + struct.pack("=I", scope))
