"""What transports that speak in packets share: their packets' way out and in, the end inside, and their own end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from ...channel_events import ChannelEvent
from ...channel_statistics import Statistics
from ...errors import Unsupported
from ...option_values.key import Keys
from .. import close_at_exit
from ..base import Changed, Deliver, Ended, Transport, may_wait
from ..latch import Latch
from ..wrapper import TransportWrapper
from .called_actions import CalledActions
from .envelope import Envelope
from .packet_port import PacketPort

_log = logging.getLogger("rx_multicast_ipc")

_CLOSE_WAIT: Final = 5.0
"""Seconds that close waits for a delivery under way."""

_RELEASE_WAIT: Final = 1.5
"""Seconds that close waits for the end inside, which may linger for one."""


_EXIT_WAIT: Final = 1.2
"""Seconds that the end of the interpreter waits for the same."""


class PacketTransport(TransportWrapper):
    """A transport around another one that carries its packets.

    Closing ends it for its user at once, where ``ended`` is called; the end inside may live on for a moment.
    :meth:`close` from another thread waits for that.

    Args:
        transport: the one inside. It belongs to the wrapper from now on.
        envelope: is put around packets; None for none.

    Attributes:
        packets: their way out and in.
    """

    def __init__(self, transport: Transport, envelope: Envelope | None) -> None:
        super().__init__(transport)
        self._envelope = envelope
        self.packets = PacketPort(transport, envelope, self._tell, self._go_on)
        self._lock = self.packets.lock
        self._called = CalledActions(transport)
        self._deliver: Deliver | None = None
        self._ended: Ended | None = None
        self._changed: Changed | None = None
        self._closed = self._told = False
        self._over = Latch()
        self._released = Latch()
        self._final: Statistics | None = None

    @property
    def closed(self) -> bool:
        return self._closed or self.inner.closed

    @property
    def ended(self) -> bool:
        return self._over.is_set

    @property
    def statistics(self) -> Statistics:
        with self._lock:
            return self._final or self._count()

    def call(self, action: Callable[[], None]) -> None:
        self._called.call(action)

    def close(self, *, wait: bool = True) -> None:
        # A signal handler that interrupted a call of its own thread: what follows waits until that is over.
        interrupts = self._lock._is_owned()  # pyright: ignore
        with self._lock:
            self._closed = True
            self._on_closed()
        if not self._released.is_set:
            try:
                if interrupts:
                    self.scheduler.schedule(lambda _scheduler, _state: self._go_on_to_end())
                else:
                    self.call(self._go_on_to_end)
            except (RuntimeError, MemoryError, OSError):  # no thread can be started, so none is there
                self._go_on_to_end()
        wait = wait and not interrupts and may_wait()
        if wait and not self._over.wait(_CLOSE_WAIT):
            _log.warning(
                "closing %s: a subscriber has kept the I/O thread busy for %g s; it closes when that ends",
                self.group,
                _CLOSE_WAIT,
            )
        if wait and self._lingers:
            self._released.wait(_RELEASE_WAIT)

    def finish(self, deadline: float) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""

        def finish(_scheduler: object, _state: object) -> None:
            self._deliver_rest()
            self.close(wait=False)

        self.scheduler.schedule(finish)

    def wait_ended(self, seconds: float) -> bool:
        """See :class:`close_at_exit.ClosesAtExit`."""
        return self._released.wait(seconds)

    def forget(self) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""
        self.packets.forget()
        self._called.clear()
        self._lock = self.packets.lock
        self._closed = True
        self._final = self._final or Statistics()
        self._over.set()
        self._released.set()
        innermost: Any = self._innermost
        innermost.forget()

    def change_keys(self, keys: Keys) -> None:
        """Seal with the first of these from now on, and open what was sealed with any of them; from any thread.

        Raises:
            Unsupported: it is not sealed.
        """
        if self._envelope is None:
            raise Unsupported("this channel is not sealed: open it with key=")
        self._envelope.change_keys(keys)

    def _go_on_to_end(self) -> None:
        """Whatever interrupted that, the next :meth:`close` does it all again."""
        if self.inner.ended:
            self._on_inside_ended(None)
        else:
            self._end()

    # What a subclass says

    @property
    def _lingers(self) -> bool:
        """Whether the end inside may live on after ``ended``, so that close waits for it."""
        return True

    def _count(self) -> Statistics:
        raise NotImplementedError

    def _end(self) -> None:
        """Begin to end; on the I/O thread, once or more often."""
        raise NotImplementedError

    def _tell(self, event: ChannelEvent) -> None:
        """Tell the user of an event; on the I/O thread."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """The send buffer may take more; on the I/O thread."""
        with self._lock:
            self.packets.outlet.go_on()

    def _deliver_rest(self) -> None:
        """Deliver what waits, before the end of the interpreter; on the I/O thread."""

    def _on_closed(self) -> None:
        """It was closed, or its end inside ended; with the lock."""

    # What a subclass uses

    @property
    def _innermost(self) -> Transport:
        inner = self.inner
        while isinstance(inner, TransportWrapper):
            inner = inner.inner
        return inner

    def _close_with_the_process(self) -> None:
        """Be closed at the end of the interpreter, in place of the end inside."""
        innermost: Any = self._innermost
        if hasattr(innermost, "forget"):  # else it holds nothing that outlives the process
            close_at_exit.add(self, _EXIT_WAIT)
            close_at_exit.discard(innermost)

    def _on_inside_ended(self, fault: Exception | None) -> None:
        with self._lock:
            self._closed = True
            self._final = self._final or self._count()
            self._on_closed()
            self.packets.clear()
        close_at_exit.discard(self)
        self._tell_ended(fault)
        self._released.set()

    def _tell_ended(self, fault: Exception | None) -> None:
        """Tell the user that it has ended, once; on the I/O thread."""
        ended = self._ended
        try:
            if not self._told:
                self._told = True  # no call in between
                if ended is not None:
                    ended(fault)
        finally:
            self._over.set()
