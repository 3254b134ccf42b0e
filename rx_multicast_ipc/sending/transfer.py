"""Payloads on their way from a source to a transport: sent, counted, and their end told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from threading import Lock
from typing import Any, Final, Protocol

from reactivex.abc import DisposableBase, ObserverBase
from reactivex.disposable import Disposable, SerialDisposable

from ..errors import SendFailed
from ..receiving.bounded_queue import BoundedQueue
from ..transport import Transport, WouldBlock
from ..transport.delivered_batch import gathers
from ..validation.payload import Payload, as_payload

CHUNK: Final = 256
"""Payloads of a sequence that are sent together."""

_NOTHING: Final = Disposable()


class Timing(Protocol):
    """Says when a transfer sends what arrived.

    Attributes:
        timer: until then; disposed of with the transfer.
        counts: whether it also says how many.
        together: how many payloads wait for no more, if it lets them wait for each other; else 0.
    """

    timer: SerialDisposable
    counts: bool
    together: int

    def wake(self) -> None:
        """Something arrived, or the source ended; on any thread."""
        ...


class Transfer(DisposableBase):
    """One subscription: sends, counts, and tells its observer how it ended.

    One thread at a time has the turn. Who finds it taken leaves what it brought in the queue, and whoever has it looks
    there again after giving it back; so nobody ever waits for it, not even a signal handler that interrupts its own
    thread.
    While the transfer waits for a full send buffer nobody gets the turn.

    Attributes:
        waiting: whether for a full send buffer.
        timing: says when to send; None for at once.
        source, told: end with the transfer.

    Args:
        transport: sends.
        observer: told how it ended.
        arrived: the queue for what is pushed.
    """

    def __init__(self, transport: Transport, observer: ObserverBase[int], arrived: BoundedQueue[Any]) -> None:
        self.transport = transport
        self.timing: Timing | None = None
        self.source = SerialDisposable()
        self.told: DisposableBase = _NOTHING
        self.waiting = False
        self._sent = 0
        self._gathered = self._went = 0  # counted apart, for other threads may count the latter
        self._observer = observer
        self._limit = transport.payload_limit
        self._arrived = arrived
        self._payloads: Iterator[Any] | None = None
        self._chunk = CHUNK
        self._unsent: list[bytes] = []
        self._end: Callable[[], None] | None = None
        self._turn = Lock()
        self._over = Lock()  # acquired once, by what ends it

    @property
    def sent(self) -> int:
        """Payloads that went."""
        return self._sent + self._went

    @property
    def over(self) -> bool:
        return self._over.locked()

    @property
    def pending(self) -> bool:
        """Whether there is something to do now."""
        if self.over:
            return False
        return bool(self._arrived or self._unsent) or self._payloads is not None or self._end is not None

    @property
    def arrived(self) -> int:
        """Payloads that wait to be sent."""
        return len(self._arrived) + len(self._unsent)

    @property
    def ends(self) -> bool:
        """Whether nothing more comes."""
        return self._end is not None

    @property
    def pulls(self) -> bool:
        """Whether it asks for payloads, which then do not arrive by themselves."""
        return self._payloads is not None

    def push(self, data: Payload) -> None:
        """Send one, in its turn."""
        if self._over.locked():
            return  # a source that does not listen when it is told to stop
        timing = self.timing
        if timing is None:
            if self._push_out(data):
                return
        elif timing.together and self._push_in(data, timing.together):
            timing.wake()
            return
        if self._arrived.put(data):
            self.fail(
                SendFailed(
                    f"{len(self._arrived)} payloads wait to be sent: the link or rate= is slower than their source; "
                    "raise the rate, or thin the source out"
                )
            )
            return
        self._begin()

    def _push_out(self, data: Payload) -> bool:
        """Whether it went at once: nothing is before it, and nobody has the turn."""
        if not self._turn.acquire(blocking=False):
            return False
        waits, first = False, not self._unsent and not self._arrived
        try:
            if first:
                waits = self._send_soon(as_payload(data, self._limit))
        except Exception as error:
            self.fail(error)
        finally:
            if not waits:
                self._turn.release()
        if first:
            self.go_on()  # with what came since it was looked at
        return first

    def _push_in(self, data: Payload, most: int) -> bool:
        """Whether it now waits among those that leave next: they have space, and nobody has the turn.

        The way of a payload that lingers, which is to cost little.
        """
        if not self._turn.acquire(blocking=False):
            return False
        fits = len(self._unsent) < most and not self._arrived and self._end is None
        try:
            if fits:
                limit = self._limit
                self._unsent.append(data if type(data) is bytes and len(data) <= limit else as_payload(data, limit))
        except Exception as error:
            self._end = partial(self.fail, error)  # after what was pushed before it
        finally:
            self._turn.release()
        return fits

    def pull(self, payloads: Iterator[Payload], chunk: int) -> None:
        """Send all that the iterator gives, so many at a time."""
        self._payloads, self._chunk = payloads, chunk
        self._begin()

    def end(self) -> None:
        """Complete, after what was pushed."""
        self._end = self._complete
        self._begin()

    def end_with_error(self, error: Exception) -> None:
        """Err, after what was pushed."""
        self._end = partial(self.fail, error)
        self._begin()

    def fail(self, error: Exception) -> None:
        """Err at once."""
        if self._finish():
            if isinstance(error, SendFailed):
                error.sent = self.sent
            self._observer.on_error(error)

    def dispose(self) -> None:
        self._finish()

    def go_on(self, most: int | None = None) -> None:
        """Send what there is, or so many of it, unless somebody is at it already."""
        while self.pending and self._turn.acquire(blocking=False):
            waits = False
            try:
                waits = self._send_next(most)
            finally:
                if not waits:
                    self._turn.release()
            if waits or most is not None:
                return

    def _begin(self) -> None:
        if self.timing is None:
            self.go_on()
        else:
            self.timing.wake()

    def _send_next(self, most: int | None) -> bool:
        """Whether it waits for a full send buffer now; with the turn."""
        is_over = self._over.locked
        while not is_over():
            some = self._unsent
            if not some and (self._payloads is not None or self._arrived):
                if most == 0:
                    return False
                some = self._next(self._chunk if most is None else most)
                if most is not None:
                    most -= len(some)
            if not some:
                if self._end is not None and not self._arrived:
                    if not self._all_went():
                        return True
                    self._end()
                return False
            if self._send(some):
                return True
        return False

    def _send(self, some: list[bytes]) -> bool:
        """Whether some had to be left unsent, and wait for the send buffer now; with the turn."""
        try:
            if len(some) == 1:
                self.transport.send(some[0])
            else:
                self.transport.send_many(some)
        except WouldBlock as error:
            self._sent += error.sent
            self._unsent = some[error.sent :]
            return self._wait_for_space()
        except Exception as error:
            self._sent += error.sent if isinstance(error, SendFailed) else 0
            self.fail(error)
        else:
            self._sent += len(some)
            self._unsent = []
        return False

    def _send_soon(self, payload: bytes) -> bool:
        """As :meth:`_send`; what is pushed while a batch is delivered may wait for what follows."""
        gatherer = gathers(self.transport)
        if gatherer is None:
            return self._send([payload])
        try:
            if gatherer.send_soon(payload, self):
                self._gathered += 1
            else:
                self._sent += 1
        except WouldBlock:
            self._unsent = [payload]
            return self._wait_for_space()
        return False

    def went(self, count: int) -> None:
        """See :class:`rx_multicast_ipc.transport.delivered_batch.Gathered`."""
        self._went += count

    was_refused = fail

    def _all_went(self) -> bool:
        """Whether nothing is gathered any more; else it waits for that now. With the turn."""
        gatherer: Any = self.transport
        if self._gathered != self._went:
            gatherer.send_gathered()
        return self._gathered == self._went or self.over or not self._wait_for_space()

    def _wait_for_space(self) -> bool:
        self.waiting = True
        self.transport.when_writable(self._has_space)
        return True

    def _next(self, most: int) -> list[bytes]:
        """The next payloads, so many at most. Sees the end of an iterator, and a bad payload, as the end after them."""
        some: list[bytes] = []
        payloads = self._payloads
        try:
            # Keeps what came before a bad one.
            given = self._arrived.take_some(most) if payloads is None else islice(payloads, most)
            limit = self._limit  # and no call for what is right already
            some.extend(
                data if type(data) is bytes and len(data) <= limit else as_payload(data, limit) for data in given
            )
        except Exception as error:
            self._payloads = None
            self._arrived.clear()
            self._end = partial(self.fail, error)
        else:
            if payloads is not None and len(some) < most:
                self._payloads = None
                self._end = self._complete
        return some

    def _has_space(self) -> None:
        self.waiting = False
        self._turn.release()
        if self.timing is None or not self.timing.counts:
            self.go_on()
        elif self._unsent:
            self.go_on(0)

    def _complete(self) -> None:
        if self._finish():
            self._observer.on_next(self.sent)
            self._observer.on_completed()

    def _finish(self) -> bool:
        """Let go of everything; whether it was not over before."""
        if not self._over.acquire(blocking=False):
            return False
        self.source.dispose()
        self.told.dispose()
        if self.timing is not None:
            self.timing.timer.dispose()
        self._arrived.clear()
        self._payloads = self._end = None
        self._unsent = []
        return True
