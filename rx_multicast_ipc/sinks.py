"""Cold sends: each subscription sends, emits one value and completes."""

from __future__ import annotations

import socket
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from .errors import InvalidAddress, InvalidOption, InvalidPayload, NeverSubscribedWarning
from .group import Group, Payload, as_payload, check_destination
from .hop import at_home_of
from .message import Address

_SHOWN_BYTES: Final = 40

_SHORTEST_PAUSE: Final = 0.001
"""Seconds: a faster pace sends several datagrams after each pause."""


class Sender(Protocol):
    """The part of a transport that a sink needs."""

    @property
    def group(self) -> Group: ...

    def send(self, payload: bytes, destination: Address | None = None) -> None: ...

    def call(self, action: Callable[[], None]) -> None: ...


class Send(Observable[None]):
    """Sends one datagram at every subscription, on the subscribing thread.

    Args:
        sender: sends it.
        payload: the whole datagram.
        destination: a numeric address and port; None for the group.
    """

    def __init__(self, sender: Sender, payload: bytes, destination: Address | None = None) -> None:
        super().__init__()
        self._sender = sender
        self._payload = payload
        self._destination = destination
        self._subscribed = False

    def _subscribe_core(self, observer: ObserverBase[None], scheduler: SchedulerBase | None = None) -> DisposableBase:
        self._subscribed = True
        self._send(self._destination, observer)
        return Disposable()

    def _send(self, destination: Address | None, observer: ObserverBase[None]) -> None:
        try:
            self._sender.send(self._payload, destination)
        except Exception as error:
            observer.on_error(error)
        else:
            observer.on_next(None)
            observer.on_completed()

    def __del__(self) -> None:
        if not getattr(self, "_subscribed", True):
            shown = repr(self._payload[:_SHOWN_BYTES]) + ("..." if len(self._payload) > _SHOWN_BYTES else "")
            warnings.warn(
                f"sending {shown} was never subscribed, so nothing was sent; "
                "pass it to run(), await it, subscribe() to it, or return it from flat_map",
                NeverSubscribedWarning,
                stacklevel=2,
                source=self,
            )


class SendToName(Send):
    """A :class:`Send` to a host name, looked up at every subscription on a thread of its own.

    Args:
        sender, payload: as for :class:`Send`.
        name: the host's name.
        port: its UDP port.
    """

    def __init__(self, sender: Sender, payload: bytes, name: str, port: int) -> None:
        super().__init__(sender, payload)
        self._name = name
        self._port = port

    def _subscribe_core(self, observer: ObserverBase[None], scheduler: SchedulerBase | None = None) -> DisposableBase:
        self._subscribed = True
        receiver = at_home_of(scheduler, observer)
        disposed = threading.Event()

        def look_up() -> None:
            try:
                numeric = _look_up(self._name, self._sender.group)
            except InvalidAddress as error:
                finish(lambda failure=error: receiver.on_error(failure))
            else:
                finish(lambda: self._send((numeric, self._port), receiver))

        def finish(action: Callable[[], None]) -> None:
            self._sender.call(lambda: None if disposed.is_set() else action())

        threading.Thread(target=look_up, name=f"rx_multicast_ipc look up {self._name}", daemon=True).start()
        return Disposable(disposed.set)


def send_to(sender: Sender, payload: bytes, port: int, address: str) -> Send:
    """A send to ``address``, numeric or a host name; ``""`` is this machine, as in Node's dgram."""
    if address == "":
        address = "127.0.0.1" if sender.group.family == "IPv4" else "::1"
    if check_destination(address, sender.group):
        return Send(sender, payload, (address, port))
    return SendToName(sender, payload, address, port)


def send_all(
    sender: Sender, source: Observable[Any] | Iterable[Payload], rate: float | None, scheduler: PeriodicScheduler
) -> Observable[int]:
    """Sends every payload of ``source`` to the group, in order, and emits how many were sent.

    Args:
        sender: sends them.
        source: payloads; its error ends the send after what came before it.
        rate: datagrams a second; None for as fast as the source gives them.
        scheduler: runs the pauses.
    """
    if isinstance(source, str | bytes | bytearray | memoryview):
        raise InvalidPayload("broadcast_all takes an iterable or Observable of payloads; broadcast() sends one")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidOption(f"rate is a number of messages a second, more than 0, not {rate!r}")
    limit = sender.group.payload_limit

    def subscribe(observer: ObserverBase[int], given: SchedulerBase | None = None) -> DisposableBase:
        receiver = at_home_of(given, observer)
        sent = 0
        disposed = threading.Event()

        def send(data: Payload) -> None:
            nonlocal sent
            sender.send(as_payload(data, limit))
            sent += 1

        def finish() -> None:
            receiver.on_next(sent)
            receiver.on_completed()

        def send_from(items: Iterator[Payload], until: Callable[[], bool]) -> bool:
            """Whether the items ended or a send failed; otherwise ``until`` said to stop."""
            try:
                while not (disposed.is_set() or until()):
                    send(next(items))
            except StopIteration:
                finish()
            except Exception as error:
                receiver.on_error(error)
            else:
                return disposed.is_set()
            return True

        if rate is not None:
            pause = max(_SHORTEST_PAUSE, 1 / rate)
            queue = _Queue(source)
            timer = SerialDisposable()
            started = scheduler.now

            def tick(_scheduler: object = None, _state: object = None) -> None:
                due = int((scheduler.now - started).total_seconds() * rate + 1e-6) + 1
                if not send_from(queue, lambda: sent >= due or queue.is_waiting()):
                    timer.disposable = scheduler.schedule_relative(pause, tick)

            timer.disposable = scheduler.schedule(tick)
            return CompositeDisposable(timer, queue, Disposable(disposed.set))

        if isinstance(source, Observable):

            def on_next(data: Payload) -> None:
                try:
                    send(data)
                except Exception as error:
                    subscription.dispose()
                    receiver.on_error(error)

            subscription = SerialDisposable()
            subscription.disposable = source.subscribe(on_next, receiver.on_error, finish, scheduler=given)
            return subscription

        send_from(iter(source), lambda: False)
        return Disposable(disposed.set)

    return Observable(subscribe)


class _Queue(Iterator[Any], DisposableBase):
    """What an iterable gives, or what an Observable gave so far, to be taken one by one."""

    def __init__(self, source: Observable[Any] | Iterable[Any]) -> None:
        self._items: deque[Any] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._iterator: Iterator[Any] | None = None
        self._subscription: DisposableBase = Disposable()
        if isinstance(source, Observable):
            self._subscription = source.subscribe(self._items.append, self._fail, self._end)
        else:
            self._iterator = iter(source)

    def is_waiting(self) -> bool:
        """Whether there is nothing to take yet, and may be later."""
        return self._iterator is None and not self._items and not self._ended

    def __next__(self) -> Any:
        if self._iterator is not None:
            return next(self._iterator)
        if self._items:
            return self._items.popleft()
        if self._error is not None:
            raise self._error
        raise StopIteration

    def dispose(self) -> None:
        self._subscription.dispose()

    def _end(self) -> None:
        self._ended = True

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._ended = True


def _look_up(name: str, group: Group) -> str:
    family = socket.AF_INET if group.family == "IPv4" else socket.AF_INET6
    try:
        found = socket.getaddrinfo(name, None, family, socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise InvalidAddress(f"cannot find a host called {name!r}: {error}; check the name") from error
    numeric = str(found[0][4][0])
    check_destination(numeric, group)
    return numeric
