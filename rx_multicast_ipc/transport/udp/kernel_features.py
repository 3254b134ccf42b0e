"""What this kernel does, found out by doing it on loopback sockets once a process.

A C library has calls that its kernel, or a sandbox around the process, refuses; and kernels before 4.18 accept
UDP_SEGMENT beside a datagram and ignore it, so that many payloads leave as one. So nothing is taken for granted: the
first channel of a process sends itself some datagrams of a few bytes on 127.0.0.1. Each feature is used or left for
itself:

    recvmsg, recvmmsg      else recvfrom, one datagram a call
    sendmmsg               else sendto, one datagram a call
    UDP_SEGMENT            else sendmmsg
    UDP_GRO                else a datagram arrives as it was on the wire
    IP_MULTICAST_ALL       else datagrams from interfaces that only others joined are dropped after reading
    IPV6_MULTICAST_ALL     (since 4.20) the same
    SO_MEMINFO             else nothing is known of drops

What is refused only later, in use, is given up then (:func:`give_up`). Sources: udp(7), ip(7), socket(7), seccomp(2).
"""

from __future__ import annotations

import errno
import logging
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from ...message import Family
from . import system_calls
from .platform import PLATFORM

_log = logging.getLogger("rx_multicast_ipc")

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
IP_MULTICAST_ALL: Final = 49
IPV6_MULTICAST_ALL: Final = 29
SO_MEMINFO: Final = 55

_PATIENCE: Final = 50
"""Milliseconds that a datagram may take from one loopback socket to the other. It takes some microseconds."""

_GRO_SIZE: Final = struct.Struct("=i")
_CONTROL: Final = 64
_MEMINFO: Final = 36


class KernelFeatures(NamedTuple):
    """What can be used, by the names of the system calls and options."""

    recvmsg: bool = False
    recvmmsg: bool = False
    sendmmsg: bool = False
    udp_segment: bool = False
    udp_gro: bool = False
    ip_multicast_all: bool = False
    ipv6_multicast_all: bool = False
    so_meminfo: bool = False

    def multicast_all(self, family: Family) -> bool:
        """Whether sockets of a family hear only what they joined themselves."""
        return self.ip_multicast_all if family == "IPv4" else self.ipv6_multicast_all

    @property
    def used(self) -> tuple[str, ...]:
        """The names of those that are, as the manual writes them."""
        return tuple(_written(name) for name, there in self._asdict().items() if there)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of those that are not."""
        return tuple(_written(name) for name, there in self._asdict().items() if not there)

    def __str__(self) -> str:
        return ", ".join(self.used) or "one datagram a call"


_NEED: Final = {"recvmsg": ("recvmmsg", "udp_gro")}
"""Which others need a feature."""

PLAIN: Final = KernelFeatures()
"""What every platform has: recvfrom and sendto."""

_current = PLAIN
_settled = False


def find() -> KernelFeatures:
    """Try what was not tried yet, and return what there is. Takes less than a millisecond, once a process.

    Raises ``OSError`` where there are no sockets to try it with.
    """
    global _current, _settled
    if not _settled:
        # Where loopback is down, what needs a datagram to arrive is left, and tried again at the next opening.
        _current, _settled = _try_all()
    return _current


def current() -> KernelFeatures:
    """What was found so far, less what was given up."""
    return _current


def give_up(feature: str) -> None:
    """Use ``feature`` no more: the system refused it."""
    global _current
    if getattr(_current, feature):
        _log.info("%s is refused from now on; going on without it", _written(feature))
        _current = _current._replace(**dict.fromkeys((feature, *_NEED.get(feature, ())), False))


def _try_all() -> tuple[KernelFeatures, bool]:
    if PLATFORM != "linux":
        recvmsg = hasattr(socket.socket, "recvmsg")
        return KernelFeatures(recvmsg, ip_multicast_all=True, ipv6_multicast_all=True), True  # there, always
    with _Pair() as pair:
        arrives = pair.tried(pair.recvfrom)
        recvmsg = arrives and pair.tried(pair.recvmsg)
        udp_segment = arrives and pair.tried(pair.udp_segment)
        return KernelFeatures(
            recvmsg=recvmsg,
            recvmmsg=recvmsg and system_calls.CALLABLE and pair.tried(pair.recvmmsg),
            sendmmsg=arrives and system_calls.CALLABLE and pair.tried(pair.sendmmsg),
            udp_segment=udp_segment,
            udp_gro=udp_segment and recvmsg and pair.tried(pair.udp_gro),
            ip_multicast_all=pair.tried(pair.ip_multicast_all),
            ipv6_multicast_all=pair.tried(_ipv6_multicast_all),
            so_meminfo=pair.tried(pair.so_meminfo),
        ), arrives


class _Pair:
    """Two sockets on loopback, each connected to the other, so that nobody interferes.

    Each method does one thing with them, and says whether it worked; ``OSError`` says that it did not.
    """

    def tried(self, works: Callable[[], bool]) -> bool:
        """Whether it worked, with nothing of it left behind."""
        try:
            return works()
        except OSError:
            return False
        finally:
            with suppress(OSError):
                while self._receiver.recv(_CONTROL):
                    pass

    def __enter__(self) -> _Pair:
        self._receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except BaseException:
            self._receiver.close()
            raise
        try:
            for one in (self._receiver, self._sender):
                one.bind(("127.0.0.1", 0))
                one.setblocking(False)
            self._receiver.connect(self._sender.getsockname())
            self._sender.connect(self._receiver.getsockname())
        except OSError:  # without loopback nothing will arrive, as it should be then
            pass
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.close()
        self._sender.close()

    def recvfrom(self) -> bool:
        self._sender.send(b"one")
        return self._received() == b"one"

    def recvmsg(self) -> bool:
        self._sender.send(b"one")
        self._await()
        return self._receiver.recvmsg(_CONTROL, _CONTROL)[0] == b"one"

    def recvmmsg(self) -> bool:
        room = bytearray(_CONTROL)
        vector = bytearray(system_calls.IOVEC.pack(system_calls.address_of(room), len(room)))
        header = bytearray(system_calls.MMSGHDR.pack(0, 0, system_calls.address_of(vector), 1, 0, 0, 0, 0))
        at = system_calls.address_of(header)
        self._sender.send(b"one")
        self._await()
        return (
            system_calls.recvmmsg(self._receiver.fileno(), at, 1, system_calls.DONTWAIT, None) == 1
            and system_calls.MMSGHDR.unpack(header)[-1] == 3
            and bytes(room[:3]) == b"one"
        )

    def sendmmsg(self) -> bool:
        return system_calls.send_all(self._sender, (b"one", b"three"), bytearray()) == 2 and (
            (self._received(), self._received()) == (b"one", b"three")
        )

    def udp_segment(self) -> bool:
        self._send_train()
        return self._received() == b"one" and self._received() == b"two"

    def udp_gro(self) -> bool:
        self._receiver.setsockopt(SOL_UDP, UDP_GRO, 1)
        self._send_train()
        self._await()
        data, ancillary, _, _ = self._receiver.recvmsg(_CONTROL, _CONTROL)
        return data == b"onetwo" and [info[:4] for _, _, info in ancillary] == [_GRO_SIZE.pack(3)]

    def ip_multicast_all(self) -> bool:
        self._receiver.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        return self._receiver.getsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL) == 0

    def so_meminfo(self) -> bool:
        return len(self._receiver.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO)) == _MEMINFO

    def _send_train(self) -> None:
        self._sender.sendmsg((b"onetwo",), [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", 3))])

    def _received(self) -> bytes:
        self._await()
        return self._receiver.recv(_CONTROL)

    def _await(self) -> None:
        """On a busy machine a datagram can take a moment, even here."""
        waiting = select.poll()
        waiting.register(self._receiver, select.POLLIN)
        waiting.poll(_PATIENCE)


def _ipv6_multicast_all() -> bool:
    if not socket.has_ipv6:
        return True  # there is nothing to hear
    try:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError as error:
        return error.errno == errno.EAFNOSUPPORT
    with opened:
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
        return opened.getsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL) == 0


def _written(feature: str) -> str:
    return feature if "msg" in feature else feature.upper()
