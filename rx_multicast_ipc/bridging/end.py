"""One end that a bridge sends from, and what waits there for a full send buffer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from ..errors import ChannelClosed, InvalidArgument, SendFailed
from ..message import Address
from ..receiving.bounded_queue import BoundedQueue
from ..receiving.overflow import Overflow
from ..transport import Transport, WouldBlock

_MOST_WAITING: Final = 4096
"""Messages that wait for a full send buffer."""

_BYTES_WAITING: Final = 4 << 20
"""Bytes of them."""

_Waiting = tuple[bytes, Address | None]


class BridgeEnd:
    """Sends in order, whatever the transport inside takes at once. From any thread.

    Args:
        transport: what it sends by.
        sender: whom of the other side it stands for; None for all who have no end of their own.

    Attributes:
        sent, sent_bytes, refused: messages and bytes, so far.
    """

    def __init__(self, transport: Transport, sender: Address | None) -> None:
        self.transport = transport
        self.sender = sender
        self.sent = self.sent_bytes = self.refused = 0
        self._late = 0
        self._lock = threading.RLock()
        self._waiting: BoundedQueue[_Waiting] = BoundedQueue(
            _MOST_WAITING, Overflow.DROP_LATEST, capacity_bytes=_BYTES_WAITING, weight=_weigh
        )

    @property
    def dropped(self) -> int:
        """Messages that were too many, or came after it was closed."""
        return self._waiting.discarded + self._late

    def send(self, payloads: Sequence[bytes], destination: Address | None = None) -> None:
        """Send to the group, or to one address, at once or as soon as there is space."""
        with self._lock:
            waited = bool(self._waiting)
            rest = payloads if waited else self._send_now(payloads, destination)
            for payload in rest:
                self._waiting.put((payload, destination))
        if rest and not waited:
            self.transport.when_writable(self._drain)

    def close(self) -> None:
        with self._lock:
            self._late += len(self._waiting)
            self._waiting.clear()
        self.transport.close(wait=False)

    def _send_now(self, payloads: Sequence[bytes], destination: Address | None) -> Sequence[bytes]:
        """Send what is taken, and return the rest, for which there is no space."""
        done = 0
        while done < len(payloads):
            some = payloads[done:] if destination is None else payloads[done : done + 1]
            try:
                if len(some) > 1:
                    self.transport.send_many(some)
                else:
                    self.transport.send(some[0], destination)
            except WouldBlock as error:
                self._count(some[: error.sent])
                return payloads[done + error.sent :]
            except ChannelClosed:
                self._late += len(payloads) - done
                return ()
            except (SendFailed, InvalidArgument) as error:  # that one is lost, and the next may go
                went = error.sent if isinstance(error, SendFailed) else 0
                self._count(some[:went])
                self.refused += 1
                done += went + 1
            else:
                self._count(some)
                done += len(some)
        return ()

    def _count(self, payloads: Sequence[bytes]) -> None:
        self.sent += len(payloads)
        self.sent_bytes += sum(map(len, payloads))

    def _drain(self) -> None:
        with self._lock:
            while self._waiting:
                payload, destination = next(iter(self._waiting))
                if self._send_now((payload,), destination):
                    break
                if self._waiting:
                    self._waiting.take()
            again = bool(self._waiting)
        if again:
            self.transport.when_writable(self._drain)


def _weigh(item: _Waiting) -> tuple[int, int]:
    return 1, len(item[0])
