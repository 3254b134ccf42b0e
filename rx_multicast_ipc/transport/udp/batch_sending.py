"""Many datagrams to one place, in as few system calls as the kernel lets.

How this works. A run of equal payloads becomes one UDP_SEGMENT send, which the kernel takes apart; what is not equal
goes by sendmmsg; and what a kernel or a sandbox does not do is left for what it does (:mod:`.kernel_features`).
Sources: sendmmsg(2), udp(7), cmsg(3).
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from . import kernel_features
from .kernel_features import SOL_UDP, UDP_SEGMENT
from .system_calls import REFUSED, refuses_sendmmsg, refuses_sendmsg, send_all

_MOST: Final = 64
"""Datagrams of one call: as many as one UDP_SEGMENT send may make on every kernel that has it."""

_MOST_BYTES: Final = 65_507
"""Bytes of one UDP_SEGMENT send."""

_SEGMENT_SIZE: Final = struct.Struct("=H")


class SentMany(NamedTuple):
    """What became of many payloads.

    Attributes:
        payloads: how many were sent: all of them, or those before one that failed, which is then to be sent alone.
        packets: how many the kernel saw: a GSO batch is one.
    """

    payloads: int
    packets: int


def send_many(opened: socket.socket, payloads: Sequence[bytes], destination: Any) -> SentMany:
    """Send ``payloads``, in order, in as few system calls as possible."""
    sent = packets = 0
    unequal: list[bytes] = []
    segments = kernel_features.current().udp_segment
    for size, run in groupby(payloads, len) if segments else ((0, payloads),):
        equal = list(run)
        if len(equal) < 2 or not 0 < size <= _MOST_BYTES // 2:
            unequal += equal
            continue
        if unequal:
            done = _send_unequal(opened, unequal, destination)
            sent += done
            packets += done
            if done < len(unequal):
                return SentMany(sent, packets)
            unequal.clear()
        batch = _send_equal(opened, equal, size, destination)
        sent += batch.payloads
        packets += batch.packets
        if batch.payloads < len(equal):
            return SentMany(sent, packets)
    done = _send_unequal(opened, unequal, destination)
    return SentMany(sent + done, packets + done)


def _send_equal(opened: socket.socket, payloads: list[bytes], size: int, destination: Any) -> SentMany:
    length = min(_MOST, _MOST_BYTES // size)
    control = [(SOL_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(size))]
    for start in range(0, len(payloads), length):
        train = payloads[start : start + length]
        try:
            opened.sendmsg((b"".join(train),), control if len(train) > 1 else (), 0, destination)
        except OSError as error:
            refused = error.errno in REFUSED and refuses_sendmsg(opened, destination)
            if refused:
                kernel_features.give_up("udp_segment")
            if refused or error.errno in (errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT):
                # The link has a smaller MTU, or its driver no checksum offload: datagram by datagram works.
                done = _send_unequal(opened, payloads[start:], destination)
                return SentMany(start + done, start // length + done)
            return SentMany(start, start // length)
    return SentMany(len(payloads), -(-len(payloads) // length))


def _send_unequal(opened: socket.socket, payloads: list[bytes], destination: Any) -> int:
    name = _encode_name(opened.family, destination)
    for start in range(0, len(payloads), _MOST):
        if not kernel_features.current().sendmmsg:
            return start + _send_each(opened, payloads[start:], destination)
        some = payloads[start : start + _MOST]
        done = send_all(opened, some, name)
        if done < 0 and ctypes.get_errno() in REFUSED and refuses_sendmmsg(opened):
            kernel_features.give_up("sendmmsg")
            return start + _send_each(opened, payloads[start:], destination)
        if done < len(some):
            return start + max(done, 0)
    return len(payloads)


def _send_each(opened: socket.socket, payloads: list[bytes], destination: Any) -> int:
    for sent, payload in enumerate(payloads):
        try:
            opened.sendto(payload, destination)
        except OSError:
            return sent  # told by the one that is then sent alone
    return len(payloads)


def _encode_name(family: int, destination: Any) -> bytearray:
    if family == socket.AF_INET:
        return bytearray(
            struct.pack("=H", family) + struct.pack("!H4s8x", destination[1], socket.inet_aton(destination[0]))
        )
    address, port, *more = destination
    flow, scope = more or (0, 0)
    packed = socket.inet_pton(socket.AF_INET6, address)
    return bytearray(struct.pack("=H", family) + struct.pack("!HI16s", port, flow, packed) + struct.pack("=I", scope))
