"""Cold sends: each subscription sends, emits one value and completes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, Protocol

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.observer import Observer
from reactivex.typing import OnCompleted, OnError, OnNext

from ..errors import ChannelClosed, InvalidAddress, InvalidPort, SendFailed
from ..group import check_port
from ..message import Address
from ..receiving.event_loop_delivery import on_its_loop
from ..subscribing.deadlocks import deadlock
from ..subscribing.never_subscribed import ColdObservable
from ..subscribing.start_thread import start_thread
from ..transport import WouldBlock
from ..transport.delivered_batch import HERE, gathers
from ..validation.arguments import check_subscriber, shown

_SHOWN_BYTES: Final = 40

_NOTHING: Final = Disposable()


class Sender(Protocol):
    """The part of a transport that a send needs."""

    def send(self, payload: bytes, destination: Address | None = None) -> None: ...

    def check_destination(self, address: str) -> str | None: ...

    def look_up(self, name: str) -> str: ...

    def call(self, action: Callable[[], None]) -> None: ...

    def when_writable(self, action: Callable[[], None]) -> None: ...


class _ColdSend(ColdObservable[None]):
    """One datagram for each subscription."""

    def __init__(self, sender: Sender, payload: bytes) -> None:
        # Not Observable's own: the lock that it makes costs more than the rest and is hardly ever used.
        self._sender = sender
        self._payload = payload
        self._subscribed = False

    @cached_property
    def lock(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return threading.RLock()

    def _send(
        self, destination: Address | None, observer: ObserverBase[None], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        try:
            self._sender.send(self._payload, destination)
            observer.on_next(None)
        except WouldBlock:
            return self._send_later(destination, on_its_loop(scheduler, observer))
        except ChannelClosed as error:
            self.refuse(observer, error, scheduler)
        except Exception as error:
            observer.on_error(error)
        else:
            observer.on_completed()
        return _NOTHING

    def _send_later(self, destination: Address | None, observer: ObserverBase[None]) -> DisposableBase:
        """Send as soon as the send buffer has space, without keeping this thread."""
        blocked = deadlock()
        if blocked is not None:
            observer.on_error(blocked)
            return _NOTHING
        pending = SerialDisposable()

        def send() -> None:
            if not pending.is_disposed:
                pending.disposable = self._send(destination, observer)

        self._sender.when_writable(send)
        return pending

    @property
    def _shown(self) -> str:
        return f"send of {shown_payload(self._payload)}"


class Send(_ColdSend):
    """Sends one datagram at every subscription, on the subscribing thread.

    Args:
        sender: sends it.
        payload: the whole datagram.
        destination: a numeric address and port; None for the group.
    """

    def __init__(self, sender: Sender, payload: bytes, destination: Address | None = None) -> None:
        self._sender = sender
        self._payload = payload
        self._destination = destination
        self._subscribed = False

    def subscribe(
        self,
        on_next: ObserverBase[None] | OnNext[None] | None = None,
        on_error: OnError | None = None,
        on_completed: OnCompleted | None = None,
        *,
        scheduler: SchedulerBase | None = None,
    ) -> DisposableBase:
        """As every Observable's, at a tenth of its cost: there is nothing to schedule and nothing to detach,
        because it has sent and ended before it returns, or waits for a full send buffer."""
        self._subscribed = True
        if on_next is None and on_error is None and on_completed is None:
            try:
                if HERE.batch is None:  # not a call more: this is what an answer's time is made of
                    self._sender.send(self._payload, self._destination)
                elif self._destination is None and (gatherer := gathers(self._sender)) is not None:
                    gatherer.send_soon(self._payload)  # for nobody looks when it is out
                else:
                    self._sender.send(self._payload, self._destination)
            except WouldBlock:
                return self._send_later(self._destination, Observer())
            return _NOTHING
        observer: Any = on_next
        if not hasattr(on_next, "on_next"):
            check_subscriber(on_next, on_error, on_completed)
            observer = Observer(on_next, on_error, on_completed)  # pyright: ignore[reportArgumentType]
        return self._send(self._destination, observer, scheduler)

    def at_once(self) -> tuple[None] | None:
        self._subscribed = True
        try:
            self._sender.send(self._payload, self._destination)
        except WouldBlock:
            return None
        return (None,)


class SendToName(_ColdSend):
    """Sends to a host name, looked up at every subscription on a thread of its own.

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
        receiver = on_its_loop(scheduler, observer)
        blocked = deadlock()
        if blocked is not None:
            receiver.on_error(blocked)
            return _NOTHING
        disposed = threading.Event()
        waiting = SerialDisposable()

        def look_up() -> None:
            try:
                numeric = self._sender.look_up(self._name)
            except Exception as error:
                finish(lambda failure=error: receiver.on_error(failure))
            else:
                finish(lambda: waiting.set_disposable(self._send((numeric, self._port), receiver)))

        def finish(action: Callable[[], None]) -> None:
            self._sender.call(lambda: None if disposed.is_set() else action())

        try:
            start_thread(look_up, name=f"look up {self._name}", error=SendFailed)
        except SendFailed as error:
            receiver.on_error(error)
        return CompositeDisposable(Disposable(disposed.set), waiting)


def shown_payload(payload: bytes) -> str:
    """The beginning of a payload, for people."""
    return repr(payload[:_SHOWN_BYTES]) + ("..." if len(payload) > _SHOWN_BYTES else "")


def end_of(port: int | Address, address: str | None) -> tuple[int, str]:
    """``port, address`` or one ``(address, port)``, such as a message's sender, as port and address, the port checked.

    Raises:
        InvalidPort: no UDP port.
        InvalidAddress: none at all, or two.
    """
    if isinstance(port, tuple):
        if address is not None or len(port) != 2:
            raise InvalidAddress(
                "name one address and one port: send(data, message.sender), or send(data, port, address); not "
                f"{shown(port)}"
            )
        address, port = port
    if isinstance(port, str) and isinstance(address, int):
        raise InvalidPort(f"the port stands before the address: send(data, {address}, {shown(port)})")
    number = check_port(port)
    if address is None:
        raise InvalidAddress(
            "a port needs a host name or a numeric address: send(data, port, address), or send(data, message.sender)"
        )
    return number, address


def send_to(sender: Sender, payload: bytes, port: int, address: str) -> Observable[None]:
    """A send to ``address``, numeric or a host name; ``""`` is this machine, as in Node's dgram."""
    numeric = sender.check_destination(address)
    return SendToName(sender, payload, address, port) if numeric is None else Send(sender, payload, (numeric, port))
