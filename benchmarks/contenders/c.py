"""A C loop: sendto, and recvmmsg that only counts; compiled when it is first used."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import threading
from pathlib import Path

from . import raw
from .base import paced

SOURCE = r"""
#define _GNU_SOURCE
#include <sys/socket.h>
#include <netinet/in.h>
#include <string.h>
int send_burst(int fd, const void *data, int size, int count, unsigned address, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = address};
    for (int i = 0; i < count; i++)
        if (sendto(fd, data, size, 0, (struct sockaddr *)&to, sizeof to) < 0) return i;
    return count;
}
int receive_some(int fd) {
    static char data[64][65536];
    struct mmsghdr headers[64];
    struct iovec vectors[64];
    memset(headers, 0, sizeof headers);
    for (int i = 0; i < 64; i++) {
        vectors[i].iov_base = data[i];
        vectors[i].iov_len = 65536;
        headers[i].msg_hdr.msg_iov = &vectors[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    return recvmmsg(fd, headers, 64, MSG_WAITFORONE, 0);
}
"""


def library() -> ctypes.CDLL:
    folder = Path(tempfile.mkdtemp(prefix="benchmark-c-"))
    (folder / "loop.c").write_text(SOURCE)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", "loop.so", "loop.c"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "loop.so"))


class Sender(raw.Sender):
    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._library = library()

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        address = int.from_bytes(raw.socket.inet_aton(raw.GROUP), "little")

        def burst(number: int) -> None:
            self._library.send_burst(self._socket.fileno(), payload, len(payload), number, address, self._to[1])

        return paced(burst, count, rate)


class Receiver:
    def __init__(self, port: int) -> None:
        self.count = 0
        self._socket = raw.receiver_socket(port)
        self._library = library()
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while True:
            received = max(0, self._library.receive_some(self._socket.fileno()))  # first: it blocks
            self.count += received

    def close(self) -> None:
        pass
