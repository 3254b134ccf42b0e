"""Plain Python sockets: a sendto loop, and a blocking recvfrom loop that filters, maps and calls a function."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

from .base import paced

GROUP = "224.0.2.9"
LOOPBACK = socket.inet_aton("127.0.0.1")


def sender_socket() -> socket.socket:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(4) + LOOPBACK + struct.pack("=i", 1))
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
    sender.bind(("127.0.0.1", 0))
    return sender


def receiver_socket(port: int, buffer: int = 4 << 20) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    with suppress(OSError):
        receiver.setsockopt(socket.SOL_SOCKET, 33, buffer)  # SO_RCVBUFFORCE, for root
    receiver.setsockopt(socket.IPPROTO_IP, 49, 0)
    receiver.bind((GROUP, port))
    membership = socket.inet_aton(GROUP) + LOOPBACK + struct.pack("=i", 1)
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    return receiver


class Sender:
    def __init__(self, port: int) -> None:
        self._socket = sender_socket()
        self._to = GROUP, port

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        sendto, to = self._socket.sendto, self._to

        def burst(number: int) -> None:
            for _ in range(number):
                sendto(payload, to)

        return paced(burst, count, rate)

    def close(self) -> None:
        self._socket.close()


class Receiver:
    def __init__(self, port: int) -> None:
        self.count = 0
        self._socket = receiver_socket(port)
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        recvfrom = self._socket.recvfrom
        while True:
            data, sender = recvfrom(65_535)
            if sender[1] > 0:  # the work of the others: a filter, a map and a subscriber
                self._on_next(data)

    def _on_next(self, _: bytes) -> None:
        self.count += 1

    def close(self) -> None:
        pass  # ends with its process
