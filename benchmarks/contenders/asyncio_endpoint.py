"""asyncio's datagram endpoint, fed by a plain sendto loop."""

from __future__ import annotations

import asyncio
import threading

from . import raw

Sender = raw.Sender


class Receiver(asyncio.DatagramProtocol):
    def __init__(self, port: int) -> None:
        self.count = 0
        self._socket = raw.receiver_socket(port)
        self._socket.setblocking(False)
        threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True).start()

    async def _main(self) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=self._socket)
        await asyncio.Event().wait()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.count += 1

    def close(self) -> None:
        pass


__all__ = ["Receiver", "Sender"]
