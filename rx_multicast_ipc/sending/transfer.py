"""Payloads on their way from a source to a transport: sent, counted, and their end told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from threading import RLock
from typing import Any, Final, Protocol

from reactivex.abc import DisposableBase, ObserverBase
from reactivex.disposable import Disposable, SerialDisposable

from ..errors import SendFailed
from ..receiving.bounded_queue import BoundedQueue
from ..transport import Transport, WouldBlock
from ..transport.base import sent_before
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

    One call at a time has the turn. Who finds it taken leaves what it brought in the queue, and whoever has it looks
    there again after giving it back; so nobody ever waits for it, not even a signal handler that interrupts its own
    thread. While the transfer waits for a full send buffer, that wait has the turn.

    A signal handler may raise anywhere. So the turn is no lock, which would stay taken where that is between its taking
    and a ``try``: it has an owner, and is free as soon as that one ends, however it does. And what is to be sent is at
    any time in the queue or in ``_unsent``, from where it goes only once it is out.

    Attributes:
        over: whether it has ended.
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
        self._sent = 0
        self._went = 0  # counted apart, for other threads may do it
        self._gathered = False
        self._observer = observer
        self._limit = transport.payload_limit
        self._arrived = arrived
        self._payloads: Iterator[Any] | None = None
        self._is_pulled = False
        self._chunk = CHUNK
        self._unsent: list[bytes] = []
        self._end: Callable[[], None] | None = None
        self._gate = RLock()  # for a few instructions at a time
        self._owner: object = None
        """Of the turn; None where it is free."""
        self.over = False

    @property
    def sent(self) -> int:
        """Payloads that went."""
        return self._sent + self._went

    @property
    def waiting(self) -> bool:
        """Whether for a full send buffer."""
        return type(self._owner) is _Wait

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
        if self.over or self._end is not None:
            return  # a source that does not listen when it is told to stop
        limit = self._limit
        try:
            payload = data if type(data) is bytes and len(data) <= limit else as_payload(data, limit)
        except Exception as error:
            self.end_with_error(error)
            return
        timing = self.timing
        if timing is None:
            if self._push_out(payload):
                return
        elif timing.together and self._push_in(payload, timing.together):
            timing.wake()
            return
        if self._arrived.put(payload):
            self.fail(
                SendFailed(
                    f"{len(self._arrived)} payloads wait to be sent: the link or rate= is slower than their source; "
                    "raise the rate, or thin the source out"
                )
            )
            return
        self._begin()

    def _push_out(self, payload: bytes) -> bool:
        """Whether it went at once: nothing is before it, and nobody has the turn."""
        me, first = object(), False
        try:
            try:
                with self._gate:
                    if self._owner is None:
                        self._owner = me
                if self._owner is not me:
                    return False
                first = not self._unsent and not self._arrived
                if first:
                    self._send_soon(payload)
            finally:
                if self._owner is me:
                    self._owner = None
        except Exception as error:
            self.fail(error)
        except BaseException:
            self._leave_to_others()
            raise
        if first:
            self.go_on()  # with what came since it was looked at
        return first

    def _push_in(self, payload: bytes, most: int) -> bool:
        """Whether it now waits among those that leave next: they have space, and nobody has the turn.

        The way of a payload that lingers, which is to cost little.
        """
        with self._gate:
            if self._owner is not None or len(self._unsent) >= most or self._arrived:
                return False
            self._unsent.append(payload)
            return True

    def pull(self, payloads: Iterator[Payload], chunk: int) -> None:
        """Send all that the iterator gives, so many at a time."""
        self._payloads, self._chunk, self._is_pulled = payloads, chunk, True
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
        while self.pending:
            me = object()
            try:
                try:
                    with self._gate:
                        if self._owner is None:
                            self._owner = me
                    if self._owner is not me or self._send_next(most):
                        return
                finally:
                    if self._owner is me:
                        self._owner = None
            except BaseException:
                self._leave_to_others()
                raise
            if most is not None:
                return

    def _leave_to_others(self) -> None:
        """A signal handler raised: have what others brought meanwhile sent by the I/O thread."""
        if not self._is_pulled and (self.timing is None or not self.timing.counts):
            self.transport.call(self.go_on)

    def _begin(self) -> None:
        if self.timing is None:
            self.go_on()
        else:
            self.timing.wake()

    def _send_next(self, most: int | None) -> bool:
        """Whether it waits for a full send buffer now; with the turn."""
        while not self.over:
            if not self._unsent and (self._payloads is not None or self._arrived):
                if most == 0:
                    return False
                self._take(self._chunk if most is None else most)
                if most is not None:
                    most -= len(self._unsent)
            if not self._unsent:
                end = self._end
                if end is not None and not self._arrived:
                    if not self._all_went():
                        return True
                    end()  # which does nothing where that told of a refusal
                return False
            if self._send(self._unsent):
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
            self._wait_for_space()
            return True
        except Exception as error:
            self._sent += sent_before(error)
            self.fail(error)
        except BaseException as error:  # of a signal handler
            self._sent += sent_before(error)
            self._unsent = some[sent_before(error) :]
            raise
        else:
            self._unsent = []
            self._sent += len(some)
        return False

    def _send_soon(self, payload: bytes) -> None:
        """As :meth:`_send`; what is pushed while a batch is delivered may wait for what follows."""
        gatherer = gathers(self.transport)
        try:
            if gatherer is None:
                self.transport.send(payload)
                self._sent += 1
            elif gatherer.send_soon(payload, self):
                self._gathered = True
            else:
                self._sent += 1
        except WouldBlock:
            self._unsent = [payload]
            self._wait_for_space()

    def went(self, count: int) -> None:
        """See :class:`rx_multicast_ipc.transport.delivered_batch.Gathered`."""
        self._went += count

    was_refused = fail

    def _all_went(self) -> bool:
        """Whether nothing is gathered any more; else it waits for that now. With the turn."""
        if not self._gathered:
            return True
        gatherer: Any = self.transport
        gatherer.send_gathered()
        if self.over or not gatherer.gathers_for(self):
            return True
        self._wait_for_space()
        return False

    def _wait_for_space(self) -> None:
        """Give the turn to a wait for the send buffer; with the turn."""
        wait = _Wait()
        try:
            self._owner = wait
            self.transport.when_writable(partial(self._has_space, wait))
        except BaseException:
            self._end_wait(wait)
            raise

    def _end_wait(self, wait: _Wait) -> bool:
        """Whether it was the owner of the turn, which is free now."""
        with self._gate:
            if self._owner is not wait:
                return False
            self._owner = None
            return True

    def _take(self, most: int) -> None:
        """Have the next payloads sent, so many at most. Sees the end of an iterator, and a bad payload, as the end."""
        payloads = self._payloads
        if payloads is None:
            self._arrived.move_some(most, self._unsent)
            return
        try:
            limit = self._limit  # and no call for what is right already
            self._unsent.extend(  # keeps what came before a bad one
                data if type(data) is bytes and len(data) <= limit else as_payload(data, limit)
                for data in islice(payloads, most)
            )
        except Exception as error:
            self._payloads = None
            self._end = partial(self.fail, error)
        else:
            if len(self._unsent) < most:
                self._payloads = None
                self._end = self._complete

    def _has_space(self, wait: _Wait) -> None:
        if not self._end_wait(wait):
            return  # a signal handler raised as it began, and the turn was taken anew
        if self.timing is None or not self.timing.counts:
            self.go_on()
        elif self._unsent:
            self.go_on(0)

    def _complete(self) -> None:
        if self._finish():
            self._observer.on_next(self.sent)
            self._observer.on_completed()

    def _finish(self) -> bool:
        """Let go of everything, also once more where a signal handler raised before; whether it was not over before."""
        self.source.dispose()
        self.told.dispose()
        if self.timing is not None:
            self.timing.timer.dispose()
        with self._gate:
            was_over, self.over = self.over, True
        self._arrived.clear()
        self._payloads = self._end = None
        self._unsent = []
        return not was_over


class _Wait:
    """A wait for the send buffer, which has the turn."""
