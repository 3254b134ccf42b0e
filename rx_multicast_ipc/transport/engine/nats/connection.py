"""One connection to a NATS server, or to one of a cluster, for all ends of this process that name it alike.

Why the protocol is spoken here (``wire.py``, ``server_link.py``, ``login.py``) and not by nats-py: see the package.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from ....channel_events import Forbidden, NetworkChange
from ....errors import SendFailed
from ....message import Address
from ....option_values.engines import Nats
from ...base import Hears
from ..sent_topics import Run
from ..shared_connection import SharedConnection
from . import wire
from .end_delivery import DIRECT, EndDelivery, NatsEnd
from .login import PATIENCE, refusal
from .publishing import parts_of, together, written
from .server_link import ServerLink
from .subscriptions import Subscriptions
from .wire import Delivered

_log = logging.getLogger("rx_multicast_ipc")

_ANSWERS: Final = b"2"
"""The number of the connection's subscription to answers."""

_MOST_TOLD: Final = 1000
"""Violations that are logged once each."""

Handler = Callable[[Delivered], None]


class NatsConnection(SharedConnection[NatsEnd]):
    """See :class:`rx_multicast_ipc.transport.engine.connection.Connection`.

    How this works. Ends that listen alike share a subscription, and the server does not send back what this connection
    sends: it is handed to the other ends here (``end_delivery.py``). The socket is the *link*'s (``server_link.py``):
    senders write to it themselves, and its thread hands what arrives to the ends' queues. When it lost a server and
    found another one, it asks for the :meth:`greeting`, which subscribes to everything again.

    Args:
        engine: where to, and who we are.

    Raises:
        CannotOpen, NotAuthorized, MissingExtra, InvalidOption: see ``login.log_in``.
    """

    def __init__(self, engine: Nats) -> None:
        super().__init__(engine.url)
        self._subscriptions: Subscriptions[NatsEnd] = Subscriptions(int(_ANSWERS))
        self._handlers: dict[bytes, Handler] = {}
        self._brought: dict[bytes, Handler] = {}
        self._told: set[bytes] = set()
        self._refused: bytes | None = None
        self._listeners: list[Callable[[bool], None]] = []
        self._delivery = EndDelivery(self._ends, self._subscriptions, self._take_own)
        self._link = ServerLink(engine, self._thread, self._lock, self)
        try:
            self._link.begin()
            self._link.flush()
            if self._refused is not None:
                raise refusal(self._link.where, self._refused)
        except BaseException:
            self.close()
            raise
        self._begin()

    @property
    def up(self) -> bool:
        return self._link.up

    @property
    def payload_limit(self) -> int:
        return self._link.payload_limit

    # What ends ask for.

    def _subscribe(self, end: NatsEnd) -> None:
        if end.hears is not Hears.ALL:
            return
        with self._lock:
            added = [self._subscriptions.add(filter, end) for filter in end.filters]
            self._link.control(b"".join([subscription.line for subscription, is_new in added if is_new]))
        if not all(subscription.holds for subscription, _ in added):
            self._link.flush()
            for subscription, _ in added:
                if subscription.refused is not None:
                    raise refusal(self._link.where, subscription.refused)
                subscription.holds = True

    def _unsubscribe(self, end: NatsEnd) -> None:
        with self._lock:
            for filter in end.filters:
                ended = self._subscriptions.remove(filter, end)
                if ended is not None:
                    self._link.control(b"UNSUB %d\r\n" % ended.sid)

    def publish(
        self, end: NatsEnd, payloads: Sequence[bytes], number: int, destination: Address | None, runs: Sequence[Run]
    ) -> None:
        subject = end.speaks_to if destination is None else end.subject_of(destination)
        if not subject:
            raise _no_one_subject(end)
        if destination is not None and destination[0] == self.session:
            self.check_up(self._link.why)
            self._delivery.send_directly(destination[1], end.sender_address, payloads, number)
            return
        sent = 0
        parts = parts_of(subject, end.numbering, payloads, runs)
        try:
            for some in together(parts):
                self.write(written(some, number))
                sent += sum([len(each.payloads) for each in some])
        except SendFailed as error:
            error.sent = sent
            raise
        finally:
            if destination is None and sent:
                for part in parts:
                    self._delivery.copy_sent(end, part, number, sent)

    def publish_identified(
        self, end: NatsEnd, payloads: Sequence[bytes], reply: str, number: int, identity: str, runs: Sequence[Run]
    ) -> None:
        """As :meth:`publish`, one message to the group, which a stream keeps once and acknowledges to ``reply``."""
        if not end.speaks_to:
            raise _no_one_subject(end)
        (part,) = parts_of(end.speaks_to, end.numbering, payloads, runs)
        self.write(wire.publish_with_id(part.subject, reply.encode(), identity, payloads[0]))
        self._delivery.copy_sent(end, part, number, 1)

    def when_writable(self, action: Callable[[], None]) -> None:
        self._link.when_writable(action)

    def write(self, data: bytes) -> None:
        """Write what belongs together, all or nothing; raises as :meth:`publish`."""
        self.check_up(self._link.why)
        self._link.write(data)

    def flush(self, seconds: float = PATIENCE) -> None:
        """See :meth:`.server_link.ServerLink.flush`."""
        self._link.flush(seconds)

    # What history and acknowledged sends ask for.

    def handle(self, name: str, handler: Handler) -> str:
        """Have ``handler`` called, on the connection's thread, for what comes by a subject of its own. Returns that."""
        self._handlers[name.encode()] = handler
        return f"_rx.{self.session}.{name}"

    def unhandle(self, name: str) -> None:
        self._handlers.pop(name.encode(), None)

    def bring(self, handler: Handler) -> tuple[str, int]:
        """Subscribe to a new subject, for ``handler``, until the server is lost. Returns it, and what ends it.

        By a subscription of its own, for what a stream brings has the subject that it was sent to.
        """
        with self._lock:
            sid = self._subscriptions.next_sid()
            subject = f"_rxh.{self.session}.{sid}"
            self._brought[b"%d" % sid] = handler
            self._link.control(f"SUB {subject} {sid}\r\n".encode())
            return subject, sid

    def bring_no_more(self, sid: int) -> None:
        with self._lock:
            if self._brought.pop(b"%d" % sid, None) is not None:
                self._link.control(b"UNSUB %d\r\n" % sid)

    def listen(self, listener: Callable[[bool], None]) -> None:
        """Have ``listener`` called with False when the server is lost, and with True when it is back; on any thread."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[bool], None]) -> None:
        with suppress(ValueError):
            self._listeners.remove(listener)

    # What the link asks for: see LinkOwner.

    def greeting(self) -> bytes:
        own = (f"rx.to.{self.session}.>".encode(), DIRECT), (f"_rx.{self.session}.>".encode(), _ANSWERS)
        return b"".join(b"SUB %b %b\r\n" % each for each in own) + self._subscriptions.lines

    def take(self, messages: list[Delivered]) -> None:
        self._delivery.take(messages)

    def _take_own(self, arrived: Delivered) -> None:
        if arrived.sid == _ANSWERS:
            self._handlers.get(arrived.subject[len(self.session) + 5 :], _ignore)(arrived)
        else:
            self._brought.get(arrived.sid, _ignore)(arrived)

    def hear_violation(self, reason: str, text: bytes) -> None:
        subject = reason.partition('"')[2].partition('"')[0]
        if reason.lower().startswith("permissions violation for publish"):
            if text not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(text)
                _log.warning("%s forbids to send on %s; have its permissions changed", self.url, subject)
            for end in list(self._ends.values()):
                to_topic = end.speaks_to and subject.startswith(f"{end.speaks_to}.")
                if to_topic or subject in (end.speaks_to, *end.spoke_to):
                    end.tell(Forbidden(subject, reason, time.time()))
            return
        subscription = self._subscriptions.of_filter(subject)
        if subscription is not None:
            subscription.refused = text
        else:
            self._refused = text
            _log.warning("%s forbids to listen on %s; have its permissions changed", self.url, subject)

    def lost(self) -> None:
        self._brought.clear()
        for listener in list(self._listeners):
            listener(False)
        self._tell_all(NetworkChange.DOWN, self._link.why)
        if self._finishing:
            self.close()

    def back(self) -> None:
        self._tell_all(NetworkChange.UP)
        for listener in list(self._listeners):
            listener(True)

    # The end: see SharedConnection.

    @property
    def _is_used(self) -> bool:
        return bool(self._ends or self._listeners)

    def _close_after_last_sends(self) -> None:
        with self._lock:
            if self.up:
                self._link.ask(lambda _: self.close())
                return
        self.close()

    def _let_go(self) -> None:
        self._link.shut()

        def close() -> None:
            self._link.close()
            self._gone.set()

        self._call(close)

    def forget(self) -> None:
        super().forget()
        self._link.forget()


def _no_one_subject(end: Any) -> SendFailed:
    return SendFailed(
        f"{end.listens_to} has wildcards, so it is for listening alone; send to one subject: "
        'channel.send(data, 1, "orders.new"), or open another channel with subject="orders.new"'
    )


def _ignore(_: Delivered) -> None:
    """For a subscription that has ended."""
