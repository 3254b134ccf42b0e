"""One connection to a NATS server, or to one of a cluster, for all ends of this process that name it alike."""

from __future__ import annotations

import logging
import secrets
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import SystemRandom
from typing import Any, Final, Protocol

from reactivex.disposable import SerialDisposable

from ....channel_events import Forbidden, NetworkChange
from ....errors import CannotOpen, ChannelClosed, MulticastError, SendFailed
from ....message import Address, Message
from ....option_values.engines import Nats
from ... import close_at_exit
from ...base import Hears, WouldBlock
from ...latch import Latch
from ...udp.io_thread import IoThread
from ..base import EngineTransport
from ..connections import KEPT
from . import subjects, wire
from .login import PATIENCE, Login, log_in, refusal
from .wire import Delivered, NotNats, Said

_log = logging.getLogger("rx_multicast_ipc")

_READ: Final = 65_536
"""Bytes of one read."""

_WRITE: Final = 262_144
"""Bytes of one write: more are written in turns."""

_ALIVE: Final = 5.0
"""Seconds after which a silent server is asked whether it is there."""

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.4
"""Seconds between two attempts to get back to a server, the first of which comes at once."""

_random = SystemRandom()
"""Not the ``random`` module's own: a thread that draws from that changes what a seeded program draws."""


class NatsEnd(Protocol):
    """What a connection asks of an end beside what every end has."""

    listens_to: str
    """The subscription that brings it what is sent to its group."""
    speaks_to: str
    """The subject that it sends to its group on; empty if it cannot."""
    numbering: bytes
    """What its running numbers stand behind."""

    def message(self, subject: bytes, reply: bytes, payload: bytes, at: float) -> Message: ...


class _Subscription:
    """What the server was asked to send, and the ends that it is for."""

    def __init__(self, sid: int, filter: str) -> None:
        self.sid = sid
        self.filter = filter
        self.ends: tuple[Any, ...] = ()
        self.holds = False
        self.refused: bytes | None = None

    @property
    def is_foreign(self) -> bool:
        return not self.filter.startswith("rx.")


Handler = Callable[[Delivered], None]


class NatsConnection:
    """See :class:`rx_multicast_ipc.transport.engine.base.Connection`.

    How this works. Who sends writes to the socket itself, under the *write lock*; what the socket does not take is
    written by the connection's thread, and until then nobody else writes. That thread reads, hands messages to the
    ends' queues, and gets back to a server, one of the cluster's, when it is lost: then it subscribes to all again.

    Args:
        engine: where to, and who we are.

    Raises:
        CannotOpen, NotAuthorized, MissingExtra, InvalidOption: see ``login.log_in``.
    """

    def __init__(self, engine: Nats) -> None:
        self.session = secrets.token_hex(8)
        self.url = engine.url
        self._engine = engine
        self._servers = list(engine.servers)
        self._lock = threading.RLock()
        self._ends: dict[int, Any] = {}
        self._subscriptions: dict[str, _Subscription] = {}
        self._by_sid: dict[bytes, _Subscription] = {}
        self._foreign: tuple[_Subscription, ...] = ()
        self._last_sid = 2
        self._handlers: dict[bytes, Handler] = {}
        self._brought: dict[bytes, Handler] = {}
        self._pongs: deque[Callable[[], None]] = deque()
        self._pending = b""
        self._writable: socket.socket | None = None
        self._waiting: list[Callable[[], None]] = []
        self._closed = False
        self._up = False
        self._pause = 0.0
        self._silent = 0
        self._gone = Latch()
        self._finishing = False
        self._reason = ""
        self._told: set[bytes] = set()
        self._refused: bytes | None = None
        self._listeners: list[Callable[[bool], None]] = []
        self._unused = SerialDisposable()
        self._thread = IoThread(f"rx_multicast_ipc {self.url}", failed=self._fail)
        self._use(self._log_in())
        try:
            self._keep_alive = self._thread.scheduler.schedule_periodic(_ALIVE, self._look_alive)
            self.flush()
            if self._refused is not None:
                raise refusal(self._where, self._refused)
        except BaseException:
            self.close()
            raise
        close_at_exit.add(self)
        self._close_if_unused_later()

    def __repr__(self) -> str:
        return f"<NatsConnection {self.url}, {len(self._ends)} channels{'' if self._up else ', away'}>"

    @property
    def closed(self) -> bool:
        """Whether it is closed for good."""
        return self._closed

    @property
    def payload_limit(self) -> int:
        return self._payload_limit

    # What ends ask for.

    def attach(self, end: EngineTransport) -> None:
        with self._lock:
            if self._closed:
                raise ChannelClosed
            self._ends[end.number] = end
        try:
            if end.hears is Hears.ALL:
                self._subscribe(end)
        except BaseException:
            self.detach(end)
            raise

    def _subscribe(self, end: Any) -> None:
        with self._lock:
            subscription = self._subscriptions.get(end.listens_to)
            if subscription is None:
                self._last_sid += 1
                subscription = _Subscription(self._last_sid, end.listens_to)
                self._subscriptions[subscription.filter] = subscription
                self._by_sid[b"%d" % subscription.sid] = subscription
                if subscription.is_foreign:
                    self._foreign = (*self._foreign, subscription)
                self._control(b"SUB %b %d\r\n" % (subscription.filter.encode(), subscription.sid))
            subscription.ends = (*subscription.ends, end)
        if not subscription.holds:
            self.flush()
            if subscription.refused is not None:
                raise refusal(self._where, subscription.refused)
            subscription.holds = True

    def detach(self, end: EngineTransport) -> None:
        with self._lock:
            self._ends.pop(end.number, None)
            ending: Any = end
            subscription = self._subscriptions.get(ending.listens_to)
            if subscription is not None and end in subscription.ends:
                subscription.ends = tuple(other for other in subscription.ends if other is not end)
                if not subscription.ends:
                    del self._subscriptions[subscription.filter], self._by_sid[b"%d" % subscription.sid]
                    self._foreign = tuple(other for other in self._foreign if other is not subscription)
                    self._control(b"UNSUB %d\r\n" % subscription.sid)
            unused = not self._ends
        if unused:
            self._close_if_unused_later()

    def publish(
        self, end: EngineTransport, payloads: Sequence[bytes], number: int, destination: Address | None
    ) -> None:
        sending: Any = end
        subject = sending.speaks_to if destination is None else sending.subject_of(destination)
        if not subject:
            raise _no_one_subject(sending)
        if destination is not None and destination[0] == self.session:
            self._check_up()
            self._deliver_direct(destination[1], sending.sender_address, payloads, number)
            return
        sent = 0
        numbering = sending.numbering
        encoded = subject.encode()
        try:
            for chunk in _chunks(payloads):
                self.write(wire.publish(encoded, numbering, number + sent, chunk))
                sent += len(chunk)
        except SendFailed as error:
            error.sent = sent
            raise
        finally:
            if destination is None and sent:
                self._deliver_here(sending, subject, payloads[:sent], number)

    def publish_identified(
        self, end: EngineTransport, payloads: Sequence[bytes], reply: str, number: int, identity: str
    ) -> None:
        """As :meth:`publish`, one message to the group, which a stream keeps once and acknowledges to ``reply``."""
        sending: Any = end
        if not sending.speaks_to:
            raise _no_one_subject(sending)
        self.write(wire.publish_with_id(sending.speaks_to.encode(), reply.encode(), identity, payloads[0]))
        self._deliver_here(sending, sending.speaks_to, payloads, number)

    def when_writable(self, action: Callable[[], None]) -> None:
        with self._lock:
            if self._pending and self._up:
                self._waiting.append(action)
                return
        action()

    def write(self, data: bytes) -> None:
        """Write what belongs together, all or nothing; raises as :meth:`publish`."""
        with self._lock:
            self._check_up()
            if self._pending:
                raise WouldBlock(f"{self.url} takes no more right now; send again, or wait until it does")
            self._write(data)

    def flush(self, seconds: float = PATIENCE) -> None:
        """Wait until the server has taken note of all that was written before; raises ``CannotOpen`` if it is away."""
        answered = Latch()
        with self._lock:
            if not self._up:
                raise CannotOpen(f"{self.url} is away{self._reason}; open the channel again when it is back")
            self._pongs.append(answered.set)
            self._control(b"PING\r\n")
        if not answered.wait(seconds) or not self._up:
            raise CannotOpen(f"{self.url} did not answer{self._reason}; open the channel again when it is back")

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
            self._last_sid += 1
            subject = f"_rxh.{self.session}.{self._last_sid}"
            self._brought[b"%d" % self._last_sid] = handler
            self._control(f"SUB {subject} {self._last_sid}\r\n".encode())
            return subject, self._last_sid

    def bring_no_more(self, sid: int) -> None:
        with self._lock:
            if self._brought.pop(b"%d" % sid, None) is not None:
                self._control(b"UNSUB %d\r\n" % sid)

    def listen(self, listener: Callable[[bool], None]) -> None:
        """Have ``listener`` called with False when the server is lost, and with True when it is back; on any thread."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[bool], None]) -> None:
        with suppress(ValueError):
            self._listeners.remove(listener)

    # Writing, with the lock held.

    def _check_up(self) -> None:
        if self._closed:
            raise ChannelClosed
        if not self._up:
            raise SendFailed(
                f"{self.url} is away{self._reason}; channel.events tells when it is back (UP): send again then"
            )

    def _write(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError as error:
            self._lose(error)
            raise SendFailed(f"{self.url} went away: {error}; channel.events tells when it is back (UP)") from error
        if sent < len(data):
            self._pending = data[sent:]
            self._writable = self._socket.dup() if not isinstance(self._socket, ssl.SSLSocket) else _dup(self._socket)
            self._thread.watch({self._writable: self._write_pending}, for_writing=True)

    def _control(self, data: bytes) -> None:
        """Write what the server needs to know; while it is away, it is told all anyway once it is back."""
        if self._up:
            if self._pending:
                self._pending += data
            else:
                with suppress(SendFailed):
                    self._write(data)

    def _write_pending(self) -> int:
        with self._lock:
            if not self._up or not self._pending:
                return 0
            try:
                sent = self._socket.send(self._pending)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return 0
            except OSError as error:
                self._lose(error)
                return 0
            self._pending = self._pending[sent:]
            if self._pending:
                return 0
            self._stop_writing()
            waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()
        return 0

    def _stop_writing(self) -> None:
        if self._writable is not None:
            self._thread.unwatch(self._writable)
            self._writable.close()
            self._writable = None

    # Reading, on the connection's thread.

    def _read(self) -> int:
        opened = self._socket
        is_tls = isinstance(opened, ssl.SSLSocket)
        while True:
            try:
                if is_tls:
                    with self._lock:  # OpenSSL is not to be called by two threads
                        data = opened.recv(_READ)
                else:
                    data = opened.recv(_READ)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return 0
            except OSError as error:
                self._lose(error)
                return 0
            if not data:
                self._lose(None)
                return 0
            self._silent = 0
            try:
                found = self._parser.feed(data)
            except (NotNats, ValueError, IndexError) as error:
                self._lose(error)
                return 0
            self._take(found)
            if not is_tls or self._socket is not opened or self._closed:
                return 0

    def _take(self, found: list[Delivered | Said]) -> None:
        now = time.time()
        batches: dict[Any, tuple[list[Message], list[int | None]]] = {}
        for each in found:
            if isinstance(each, Said):
                self._hear(each)
            elif each.sid == b"1":
                self._take_direct(each, now)
            elif each.sid == b"2":
                self._handlers.get(each.subject[len(self.session) + 5 :], _ignore)(each)
            else:
                subscription = self._by_sid.get(each.sid)
                if subscription is None:
                    self._brought.get(each.sid, _ignore)(each)
                else:
                    number = subjects.number_in(each.reply)
                    for end in subscription.ends:
                        messages, numbers = batches.setdefault(end, ([], []))
                        messages.append(end.message(each.subject, each.reply, each.payload, now))
                        numbers.append(number)
        for end, (messages, numbers) in batches.items():
            end.arrive(messages, numbers)

    def _take_direct(self, arrived: Delivered, now: float) -> None:
        words = arrived.subject.decode("utf-8", "replace").split(".")
        sender = subjects.sender_in(".".join(words[4:]))
        end = self._ends.get(int(words[3])) if len(words) == 6 and words[3].isdigit() else None
        if end is not None and sender is not None and end.hears is not Hears.NOTHING:
            message = Message(arrived.payload, *sender, end.group.family, now, True, "", end.sender_address)
            end.arrive((message,), (subjects.number_in(arrived.reply),))

    def _deliver_direct(self, number: int, sender: Address, payloads: Sequence[bytes], first: int) -> None:
        end = self._ends.get(number)
        if end is not None and end.hears is not Hears.NOTHING:
            now = time.time()
            fields = (*sender, end.group.family, now, True, "", end.sender_address)
            messages = [Message(payload, *fields) for payload in payloads]
            end.arrive(messages, range(first, first + len(messages)))

    def _deliver_here(self, sending: Any, subject: str, payloads: Sequence[bytes], first: int) -> None:
        """Bring what goes out to the other ends on this connection, to which the server does not send it."""
        own = self._subscriptions.get(sending.listens_to)
        found = [] if own is None else [own]
        found += [each for each in self._foreign if each is not own and subjects.matches(each.filter, subject)]
        for subscription in found:
            for end in subscription.ends:
                if end is not sending:
                    now, encoded, reply = time.time(), subject.encode(), sending.numbering + b"0"
                    messages = [end.message(encoded, reply, payload, now) for payload in payloads]
                    end.arrive(messages, range(first, first + len(messages)))

    def _hear(self, said: Said) -> None:
        if said.what == b"PING":
            with self._lock:
                self._control(b"PONG\r\n")
        elif said.what == b"PONG":
            with suppress(IndexError):
                self._pongs.popleft()()
        elif said.what == b"INFO":
            self._learn(said.text)
        elif said.what == b"-ERR":
            self._hear_error(said.text)

    def _hear_error(self, text: bytes) -> None:
        reason = text.decode("utf-8", "replace").strip("' ")
        subject = reason.partition('"')[2].partition('"')[0]
        if reason.lower().startswith("permissions violation for publish"):
            if text not in self._told and len(self._told) < 1000:
                self._told.add(text)
                _log.warning("%s forbids to send on %s; have its permissions changed", self.url, subject)
            for end in list(self._ends.values()):
                if subject in (end.speaks_to, *end.spoke_to):
                    end.tell(Forbidden(subject, reason, time.time()))
        elif reason.lower().startswith("permissions violation for subscription"):
            subscription = self._subscriptions.get(subject)
            if subscription is not None:
                subscription.refused = text
            else:
                self._refused = text
                _log.warning("%s forbids to listen on %s; have its permissions changed", self.url, subject)
        else:  # which ends the connection
            self._reason = f" ({reason})"
            _log.warning("%s: %s", self.url, reason)

    def _learn(self, text: bytes) -> None:
        import json

        with suppress(ValueError):
            self._know(json.loads(text))

    def _know(self, info: dict[str, Any]) -> None:
        """Note what a server says of itself, and of the others of its cluster."""
        self._payload_limit = int(info.get("max_payload", 1 << 20))
        for text in info.get("connect_urls") or ():
            host, _, port = str(text).rpartition(":")
            server = host.strip("[]"), int(port) if port.isdigit() else 0
            if server not in self._servers and server[1]:
                self._servers.append(server)

    # Away and back.

    def _log_in(self) -> Login:
        """Log in at the first server that lets us in; raises what the first one said that refused."""
        first: MulticastError | None = None
        deadline = time.monotonic() + PATIENCE
        for place, server in enumerate(list(self._servers)):
            left = (deadline - time.monotonic()) / (len(self._servers) - place)
            try:
                return log_in(self._engine, server, max(left, 0.1), self._engine.servers[0][0])
            except MulticastError as error:
                first = first or error
        raise first or CannotOpen(f"{self.url} names no server")

    def _use(self, login: Login) -> None:
        """Subscribe to everything at a server, and be up."""
        with self._lock:
            self._socket, self._parser = login.socket, login.parser
            self._where = f"{login.server[0]}:{login.server[1]}"
            self._servers.remove(login.server)
            self._servers.append(login.server)  # the last one to come back to
            self._know(login.info)
            self._pending = b""
            self._pongs.clear()
            self._silent = 0
            self._up = True
            self._reason = ""
            subscriptions = [(f"rx.to.{self.session}.>", 1), (f"_rx.{self.session}.>", 2)]
            subscriptions += [(each.filter, each.sid) for each in self._subscriptions.values()]
            lines = [f"SUB {filter} {sid}\r\n".encode() for filter, sid in subscriptions]
            self._control(b"".join(lines))
            self._thread.watch({self._socket: self._read})

    def _lose(self, error: Exception | None) -> None:
        """The server is lost: refuse sends, tell, and try to get back; on any thread."""
        with self._lock:
            if not self._up or self._closed:
                return
            self._up = False
            self._reason = self._reason or (f" ({error})" if error is not None else "")
            self._thread.unwatch(self._socket)
            with suppress(OSError):  # it is closed on its own thread, which may be reading
                self._socket.shutdown(socket.SHUT_RDWR)
            self._stop_writing()
            self._pending = b""
            waiting, self._waiting = self._waiting, []
            self._brought.clear()
            pongs = list(self._pongs)
            self._pongs.clear()
            self._pause = 0.0
        for action in (*waiting, *pongs):
            action()
        for listener in list(self._listeners):
            listener(False)
        for end in list(self._ends.values()):
            end.tell_of(NetworkChange.DOWN)
        if self._finishing:
            self.close()
            return
        _log.warning("%s went away%s; trying to get back", self.url, self._reason)
        self._thread.post(self._come_back)

    def _come_back(self, *_: object) -> None:
        if self._closed or self._up:
            return
        self._socket.close()
        try:
            login = self._log_in()
        except Exception as error:
            reason = f" ({error})"
            if reason != self._reason:
                self._reason = reason
                _log.info("%s is still away: %s", self.url, error)
            self._pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * self._pause))
            self._thread.scheduler.schedule_relative(self._pause * _random.uniform(0.5, 1.0), self._come_back)
            return
        if self._closed:
            login.socket.close()
            return
        with suppress(CannotOpen):
            self._use(login)
        with self._lock:
            if self._up:
                self._pongs.append(self._tell_back)
                self._control(b"PING\r\n")

    def _tell_back(self) -> None:
        """The server has all subscriptions again, or was lost again meanwhile."""
        if not self._up:
            return
        _log.warning("%s is back", self.url)
        for end in list(self._ends.values()):
            end.tell_of(NetworkChange.UP)
        for listener in list(self._listeners):
            listener(True)

    def _look_alive(self, _: object = None) -> None:
        with self._lock:
            if not self._up:
                return
            self._silent += 1
            if self._silent > 3:
                self._lose(TimeoutError("it says nothing any more"))
            elif self._silent > 1:
                self._pongs.append(lambda: None)
                self._control(b"PING\r\n")

    # The end.

    def _close_if_unused_later(self) -> None:
        with suppress(RuntimeError):  # no thread can be started: it closes with the process
            self._unused.disposable = self._thread.scheduler.schedule_relative(KEPT, self._close_if_unused)

    def _close_if_unused(self, *_: object) -> None:
        with self._lock:
            if self._ends or self._listeners or self._closed:
                return
            self._closed = True
        self.close()

    def close(self) -> None:
        """End for good; idempotent."""
        with self._lock:
            self._closed = True
            self._up = False
            if hasattr(self, "_keep_alive"):
                self._keep_alive.dispose()
            self._unused.dispose()
            self._thread.unwatch(self._socket)
            self._stop_writing()
            waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()
        close_at_exit.discard(self)

        def let_go() -> None:
            self._socket.close()
            self._gone.set()

        try:
            self._thread.call(let_go)
        except (RuntimeError, MemoryError, OSError):  # no thread can be started, so none is there
            let_go()

    def _fail(self, error: BaseException) -> None:
        """The connection's thread cannot go on: no end hears anything any more."""
        for end in list(self._ends.values()):
            fault = ChannelClosed(f"the connection to {self.url} broke: {error!r}; open another channel")
            fault.__cause__ = error
            end.fail(fault)
        self.close()

    def finish(self, deadline: float) -> None:
        """See :class:`close_at_exit.ClosesAtExit`: what was sent is with the server before the process ends."""
        self._finishing = True

        def finish(*_: object) -> None:
            with self._lock:
                if self._ends and time.monotonic() < deadline - 0.1:  # their last words are still to come
                    self._thread.scheduler.schedule_relative(0.002, finish)
                    return
                if self._up:
                    self._pongs.append(self.close)
                    self._control(b"PING\r\n")
                    return
            self.close()

        self._thread.post(finish)

    def wait_ended(self, seconds: float) -> bool:
        """See :class:`close_at_exit.ClosesAtExit`."""
        return self._gone.wait(seconds)

    def forget(self) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""
        self._closed = True
        self._up = False
        self._lock = threading.RLock()
        self._thread.forget()
        with suppress(OSError):
            socket.close(self._socket.detach())
        self._gone.set()


def _no_one_subject(end: Any) -> SendFailed:
    return SendFailed(
        f"{end.listens_to} has wildcards, so it is for listening alone; send to one subject: "
        'channel.send(data, 1, "orders.new"), or open another channel with subject="orders.new"'
    )


def _ignore(_: Delivered) -> None:
    """For a subscription that has ended."""


def _chunks(payloads: Sequence[bytes]) -> list[Sequence[bytes]]:
    """``payloads`` in parts that are written at once."""
    if len(payloads) == 1 or sum(map(len, payloads)) + 64 * len(payloads) <= _WRITE:
        return [payloads]
    chunks: list[Sequence[bytes]] = []
    start = size = 0
    for place, payload in enumerate(payloads):
        if size and size + len(payload) + 64 > _WRITE:
            chunks.append(payloads[start:place])
            start, size = place, 0
        size += len(payload) + 64
    return [*chunks, payloads[start:]]


def _dup(opened: socket.socket) -> socket.socket:
    """A plain socket of the same descriptor as one with TLS, which refuses ``dup``."""
    import os

    return socket.socket(fileno=os.dup(opened.fileno()))
