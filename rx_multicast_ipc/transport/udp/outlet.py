"""The way out: a socket that any thread may send by, and that waits where its buffer is full."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from ...errors import ChannelClosed, SendFailed
from ...group import Group
from ...message import Address
from ..base import WouldBlock, may_wait, note_sent
from ..delivered_batch import HERE, NOBODY_LOOKS, Gathered
from ..own_messages import OwnMessages
from .batch_sending import SentMany
from .error_advice import send_failed
from .full_buffer import FullBuffer, wait_until_writable
from .gathered_sends import GatheredSends
from .interfaces import Nic
from .io_thread import IoThread
from .sending_socket import Copies, SendingSocket

_SEND_WAIT: Final = 5.0
"""Seconds that a send waits for a full buffer."""


class Outlet(SendingSocket):
    """Sends datagrams, from any thread. Raises ``CannotOpen`` and leaves nothing open.

    Args:
        group, nics, receive_buffer, own, from_group: as for :class:`SendingSocket`.
        thread: runs what waited for a full buffer.

    Attributes:
        lock: held while the socket is in use, so that it is not closed, and its number reused, under a call.
        hear_own: called, on the sending thread, when something waits in ``own``.
    """

    def __init__(
        self,
        group: Group,
        nics: Mapping[int, Nic],
        receive_buffer: int,
        thread: IoThread,
        own: OwnMessages | None = None,
        *,
        from_group: bool = False,
    ) -> None:
        super().__init__(group, nics, receive_buffer, own, from_group=from_group)
        self._full_buffer = FullBuffer(group, thread, lambda: self.socket.dup())
        self.lock = self._full_buffer.lock
        self._shut = False
        self._gathered = GatheredSends()
        self._gathered_later = False
        self.hear_own: Callable[[], None] = _nobody

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        """See :meth:`rx_multicast_ipc.transport.Transport.send`."""
        if destination is not None and self.is_group(destination):
            destination = None
        if destination is None:  # the way of an answer, in few calls
            is_out = False
            with self.lock:
                if self.one_nic and not (self._shut or self._gathered.waiting or self._full_buffer.in_use):
                    try:
                        self.to_group(payload)
                        is_out = True
                    except BlockingIOError:
                        pass
            if is_out:
                HERE.sent = True
                if self._own.pending:
                    self.hear_own()
                return
        self._send_when_possible(payload, destination)

    def _send_when_possible(self, payload: bytes, destination: Address | None) -> None:
        """By several interfaces, to one address, behind what waits, or when the buffer has space."""
        deadline = 0.0
        copies: Copies | None = None
        while True:
            if self._gathered.waiting:
                self.send_gathered()
            with self.lock:
                if self._shut:
                    raise ChannelClosed
                try:
                    if self._gathered.waiting or (self._full_buffer.in_use and self._full_buffer.is_overtaken()):
                        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                    if destination is not None:
                        self.to_one(payload, destination)
                    elif self.one_nic:
                        self.to_group(payload)
                    else:
                        copies = copies or self.copies
                        self.to_each(payload, copies)
                except BlockingIOError as error:
                    full = error
                    if copies is not None and copies.taken and not may_wait():  # it is on its way: the rest follows
                        self.count_copies(payload, copies)
                        self.when_writable(partial(self._send_rest, payload, copies))
                        break
                else:
                    break
            if self._own.pending:  # copies that are out, whatever becomes of the rest
                self.hear_own()
            deadline = deadline or time.monotonic() + _SEND_WAIT
            self._wait_until_writable(deadline, destination, full)
        HERE.sent = True
        if self._own.pending:
            self.hear_own()

    def send_many(self, payloads: Sequence[bytes]) -> None:
        """See :meth:`rx_multicast_ipc.transport.Transport.send_many`."""
        sent, together = 0, SentMany()
        if self._gathered.waiting:
            self.send_gathered()
        try:
            try:
                while sent < len(payloads):
                    with self.lock:
                        if self._shut:
                            raise ChannelClosed
                        if self.one_nic and not self._gathered.waiting and not self._full_buffer.is_overtaken():
                            some = payloads[sent:] if sent else payloads
                            self.many_to_group(some, together)
                    sent, together = sent + together.payloads, SentMany()
                    if sent < len(payloads):
                        self.send(payloads[sent])
                        sent += 1
            finally:
                HERE.sent = True
                if self._own.pending:
                    self.hear_own()
        except BaseException as error:
            note_sent(error, sent + together.payloads)
            raise

    def send_soon(self, payload: bytes, whose: Gathered = NOBODY_LOOKS) -> bool:
        """See :meth:`rx_multicast_ipc.transport.delivered_batch.Gathers.send_soon`."""
        batch = HERE.batch
        if batch is None or not batch.is_quick() or not self.one_nic or self._gathered_later:
            self.send(payload)
            if batch is not None:
                batch.sends()
            return False
        batch.sends()
        batch.at_end(self.send_gathered)  # first: what waits is sent, whatever interrupts this
        with self.lock:
            if self._shut:
                raise ChannelClosed
            self._gathered.add(payload, whose)
            is_full = self._gathered.is_full
        if is_full:
            self.send_gathered()
        return True

    def send_gathered(self) -> None:
        """See :meth:`rx_multicast_ipc.transport.delivered_batch.Gathers.send_gathered`."""
        self._send_gathered()
        if self._own.pending:
            self.hear_own()
        if self._gathered.untold:
            self._gathered.tell()

    def gathers_for(self, whose: Gathered) -> bool:
        """See :meth:`rx_multicast_ipc.transport.delivered_batch.Gathers.gathers_for`."""
        with self.lock:
            return self._gathered.holds(whose)

    def when_writable(self, action: Callable[[], None]) -> None:
        """See :meth:`FullBuffer.add`."""
        self._full_buffer.add(action)

    @property
    def is_in_use_here(self) -> bool:
        """Whether this very thread holds the lock: a signal handler interrupted what it does."""
        return self.lock._is_owned()  # pyright: ignore

    def shut(self) -> None:
        """Send nothing more than what was to be sent already."""
        with self.lock:
            self._send_gathered()
            self._shut = True
            self._full_buffer.shut()
        self._gathered.tell()

    def close(self) -> None:
        """Let go of the socket; whoever waits to send is told that it came too late. Once shut, on the thread."""
        self._full_buffer.stop_watching()
        with self.lock:
            with suppress(OSError):  # ENOTCONN, but it ends the wait of those that wait to send
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()
        self._full_buffer.run()

    def forget(self) -> None:
        """Let go of the parent's socket in a forked child, without waiting for a lock."""
        self._shut = True
        self._gathered.clear()
        with suppress(OSError):
            self._full_buffer.forget()
        self.lock = self._full_buffer.lock
        with suppress(OSError):
            self.socket.close()

    def _send_gathered(self) -> None:
        with self.lock:
            if not self._gathered.waiting:
                return
            if self._shut:
                self._gathered.refuse(ChannelClosed)
                return
            if not self._full_buffer.is_overtaken():
                self._gathered.send(self.many_to_group, self._send_one)
            if self._gathered.waiting and not self._gathered_later:
                self.when_writable(self._send_gathered_later)
                self._gathered_later = True

    def _send_one(self, payload: bytes, note: SentMany) -> None:
        before = self.sent
        try:
            self.to_group(payload)
        except (BlockingIOError, SendFailed):
            raise
        except BaseException:  # of a signal handler, maybe right behind the call that sent it
            note.payloads = int(self.sent > before)
            raise
        note.payloads = 1

    def _send_gathered_later(self) -> None:
        with self.lock:
            self._gathered_later = False
        self.send_gathered()

    def _send_rest(self, payload: bytes, copies: Copies) -> None:
        with self.lock:
            if self._shut:
                self.refused += len(copies.left)
                return
            try:
                self.to_each(payload, copies)
            except BlockingIOError:
                self.when_writable(partial(self._send_rest, payload, copies))
        if self._own.pending:
            self.hear_own()

    def _wait_until_writable(self, deadline: float, destination: Address | None, full: OSError) -> None:
        waits = may_wait()
        if not waits and not self._full_buffer.is_full:
            raise WouldBlock(str(send_failed(self._group, destination, full))) from full
        remaining = deadline - time.monotonic()
        if not waits or remaining <= 0:
            self.refused += 1
            raise send_failed(self._group, destination, full) from full
        wait_until_writable(self.socket, remaining)


def _nobody() -> None: ...
