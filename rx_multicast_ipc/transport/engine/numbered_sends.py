"""What one end sends: in order, each message with its running number, and to the end itself."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Generic

from ...errors import ChannelClosed, SendFailed
from ...message import Address
from ...strangers.bounded_map import BoundedMap
from ..base import WouldBlock, may_wait
from ..latch import Latch
from ..own_messages import OwnMessages
from .connection import Connection, E_contra
from .running_numbers import FIRST
from .sent_topics import Run, SentTopics, note_sent

_MOST_DESTINATIONS: Final = 4096
"""Addresses whose messages are numbered; one that is forgotten begins anew."""

_LOOK_AGAIN: Final = 0.2
"""Seconds after which a thread that waits to send looks by itself."""

Publish = Callable[[E_contra, Sequence[bytes], int, Address | None, Sequence[Run]], None]
"""See :meth:`.connection.Connection.publish`."""


class NumberedSends(Generic[E_contra]):
    """Sends by a connection. Numbers are given out under a lock in which it publishes too, so they go out in order.

    Args:
        end: whose messages.
        connection: carries them.
        first: the number of the next message to the group.
        topics: those that it sends to; None where topics are no part of where messages go.
        own: takes what was sent to the group; None where the end does not hear itself.
        post: has something called later, on the end's I/O thread.
        hear_own: called, without the lock, once something was put there.

    Attributes:
        lock: guards all of it; a signal handler may send while its thread does.
        next: the number of the next message to the group.
        closed: whether it refuses everything.
        sent, sent_bytes, refused: messages and bytes, so far.
    """

    def __init__(
        self,
        end: E_contra,
        connection: Connection[E_contra],
        first: int,
        topics: SentTopics | None,
        own: OwnMessages | None,
        post: Callable[[Callable[[], object]], None],
        hear_own: Callable[[], None],
    ) -> None:
        self._end = end
        self._connection = connection
        self._topics = topics
        self._own = own
        self._post = post
        self._hear_own = hear_own
        self._sender = end.sender_address
        self._next_direct: BoundedMap[Address, int] = BoundedMap(_MOST_DESTINATIONS)
        self.lock = threading.RLock()
        self.next = first
        self.closed = False
        self.sent = self.sent_bytes = self.refused = 0

    @property
    def is_in_use_here(self) -> bool:
        """Whether the caller is a signal handler that interrupted a send of its own thread."""
        return self.lock._is_owned()  # pyright: ignore

    def forget(self) -> None:
        """Refuse everything, in a forked child, without waiting for a lock that a thread of its parent held."""
        self.closed = True
        self.lock = threading.RLock()

    def send(self, payloads: Sequence[bytes], destination: Address | None) -> None:
        """Send all of them, and wait for space where this thread may; raises as ``Transport.send_many``."""
        sent = 0
        while True:
            try:
                self.publish(payloads[sent:] if sent else payloads, destination)
            except WouldBlock as error:
                sent += error.sent
                error.sent = sent
                if self.is_in_use_here or not may_wait():
                    raise
            except SendFailed as error:
                error.sent += sent
                raise
            else:
                return
            writable = Latch()
            self._connection.when_writable(writable.set)
            while not (self.closed or writable.wait(_LOOK_AGAIN)):
                pass

    def publish(
        self, payloads: Sequence[bytes], destination: Address | None, publish: Publish[E_contra] | None = None
    ) -> None:
        """Send with the next running numbers, by the connection's ``publish`` if not by another one; without waiting.

        A message that was refused takes no number.
        """
        if self.is_in_use_here:
            if publish is not None:
                raise WouldBlock(
                    "a signal handler interrupted a send of this channel; it goes on as soon as that has ended"
                )
            self._post(partial(self.send, payloads, destination))
            return
        limit = self._connection.payload_limit
        sizes = list(map(len, payloads))
        fitting = len(payloads)
        if fitting and max(sizes) > limit:
            fitting = next(place for place, size in enumerate(sizes) if size > limit)
        try:
            with self.lock:
                if self.closed:
                    raise ChannelClosed
                fitting_ones = payloads if fitting == len(payloads) else payloads[:fitting]
                first = self.next if destination is None else self._next_direct.use(destination, lambda _: FIRST)
                runs: Sequence[Run] = ()
                if destination is None and self._topics is not None:
                    runs = self._topics.runs(fitting_ones, first)
                own = self._own if destination is None else None
                lasts = [(run.topic, run.topic.last) for run in runs if run.topic is not None]
                sent, is_put = 0, False
                try:
                    # First, and taken back if it is refused: a signal handler may raise, and no number is given twice.
                    note_sent(runs, first, fitting)
                    if own is not None and fitting:
                        own.put(fitting_ones, sum(sizes[:fitting]), self._sender)
                    is_put = True
                    sent = fitting
                    if fitting:
                        (publish or self._connection.publish)(self._end, fitting_ones, first, destination, runs)
                except SendFailed as error:
                    sent = error.sent
                    self.refused += not isinstance(error, WouldBlock)
                    raise
                except ChannelClosed:
                    sent = 0
                    raise
                finally:
                    if destination is None:
                        self.next = first + sent
                    else:
                        self._next_direct[destination] = first + sent
                    self.sent += sent
                    if sent < fitting:
                        for topic, last in lasts:
                            topic.last = last
                        note_sent(runs, first, sent)
                        if own is not None:
                            own.put_back(fitting_ones, was_put=is_put)
                            if sent:
                                own.put(fitting_ones[:sent], sum(sizes[:sent]), self._sender)
                    self.sent_bytes += sum(sizes if sent == len(sizes) else sizes[:sent])
                if fitting < len(payloads):
                    self.refused += 1
                    raise self._too_large(sizes[fitting], limit, fitting) from OSError(
                        errno.EMSGSIZE, os.strerror(errno.EMSGSIZE)
                    )
        finally:  # also what went before one that was refused
            if self._own is not None and destination is None and self._own.pending:
                self._hear_own()

    def _too_large(self, size: int, limit: int, sent: int) -> SendFailed:
        refused = SendFailed(
            f"cannot send {size} bytes to {self._end.group}: the engine takes {limit} at most; split them, or send a "
            "reference to them"
        )
        refused.sent = sent
        return refused
