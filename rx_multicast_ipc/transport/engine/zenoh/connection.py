"""One session with a Zenoh router, for all ends of this process that name it alike."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from ....channel_events import NetworkChange
from ....errors import CannotOpen, ChannelClosed, SendFailed
from ....message import Address, Message
from ....option_values.engines import Zenoh
from ....strangers.decoding import whole_or_none
from ...base import Hears
from ...latch import Latch
from ..connection import End
from ..sent_topics import Run
from ..shared_connection import SharedConnection
from . import keys
from .login import load, open_session

_PAYLOAD_LIMIT: Final = 4 << 20
"""Bytes. Zenoh takes more, but the queues of receivers are to hold several. Reliable channels cut larger ones up."""

_PATIENCE: Final = 3.0
"""Seconds that a router has to take note of a subscription."""

_LAST_WORDS: Final = 0.3
"""Seconds that the end of the process waits for the router to have all that was sent."""


class ZenohEnd(End, Protocol):
    """What a connection asks of an end beside what every end has."""

    listens_to: str
    """The keys that it hears."""


class ZenohConnection(SharedConnection[ZenohEnd]):
    """See :class:`rx_multicast_ipc.transport.engine.connection.Connection`.

    How this works. Zenoh has threads of its own, which call back here without another thread between: its own default,
    a Python thread that is no daemon, would keep the process alive. What they call is :meth:`End.arrive`,
    which takes one short lock. ``put`` calls the subscriptions of this very session back before it returns, so it is
    called without any lock of this class, and no callback takes the lock that a sending end holds.

    ``put`` never fails, and tells nothing of a router that is away; Zenoh's transport events do, some milliseconds
    after the router's end. Zenoh comes back to it by itself, and subscribes to all again.

    Args:
        engine: where to, and who we are.

    Raises:
        See :func:`rx_multicast_ipc.transport.engine.zenoh.login.open_session`.
    """

    def __init__(self, engine: Zenoh) -> None:
        super().__init__(engine.url)
        self.payload_limit = _PAYLOAD_LIMIT
        self._zenoh = load()
        control = self._zenoh.CongestionControl
        self._congestion = control.BLOCK if engine.block else control.DROP
        self._subscribers: dict[ZenohEnd, Any] = {}
        self._keys: dict[ZenohEnd, Any] = {}
        self._life: dict[ZenohEnd, tuple[Any, ...]] = {}
        self._routers: set[str] = set()
        self._up = True
        self._session = open_session(engine)
        try:
            self._listener = self._session.info.declare_transport_events_listener(
                self._callback(self._on_transport), history=True
            )
            self._direct = self._session.declare_subscriber(
                f"rx/to/{self.session}/**", self._callback(self._take_direct)
            )
            self.flush()
        except BaseException:
            self.close()
            raise
        self._begin()

    @property
    def up(self) -> bool:
        return self._up

    # What ends ask for.

    def _subscribe(self, end: ZenohEnd) -> None:
        try:
            self._keys[end] = self._session.declare_keyexpr(keys.of_sender(end.group, end.sender_address))
            if end.hears is Hears.ALL:
                take = self._callback(partial(self._take, end))
                self._subscribers[end] = self._session.declare_subscriber(end.listens_to, take)
                self.flush()
        except self._zenoh.ZError as error:
            raise CannotOpen(f"{self.url} cannot be listened to: {error}") from error

    def watch_ends(self, end: ZenohEnd, lost: Callable[[Address], None]) -> None:
        """Declare that ``end`` is there, and call ``lost``, on a thread of Zenoh's, with each of its group that is not.

        Where the router takes no such declarations, it is left at that.
        """

        def take(sample: Any) -> None:
            address = keys.sender_in(str(sample.key_expr))
            if sample.kind == self._zenoh.SampleKind.DELETE and address is not None:
                lost(address)

        life = keys.of_life(end.group)
        session, number = end.sender_address
        with suppress(self._zenoh.ZError):
            liveliness = self._session.liveliness()
            others = liveliness.declare_subscriber(f"{life}/**", self._callback(take))
            self._life[end] = (others, liveliness.declare_token(f"{life}/{session}/{number}"))

    def _unsubscribe(self, end: ZenohEnd) -> None:
        subscriber, key = self._subscribers.pop(end, None), self._keys.pop(end, None)
        with suppress(self._zenoh.ZError):
            for declared in self._life.pop(end, ()):
                declared.undeclare()
            if subscriber is not None:
                subscriber.undeclare()
            if key is not None:
                self._session.undeclare(key)

    def publish(
        self, end: ZenohEnd, payloads: Sequence[bytes], number: int, destination: Address | None, runs: Sequence[Run]
    ) -> None:
        whole = self._keys.get(end) if destination is None else keys.of_one(destination, end.sender_address)
        put, congestion = self._session.put, self._congestion
        sent = 0
        try:
            for run in runs or (Run(0, len(payloads), None),):
                key = whole if run.topic is None else run.topic.place
                for payload in payloads[run.start : run.stop]:
                    self.check_up()
                    attachment = (number + sent).to_bytes(8)
                    if run.topic is not None:
                        in_topic = -(number + sent) if run.others is None else number + sent - run.others
                        attachment += in_topic.to_bytes(8, signed=True)
                    put(key, payload, attachment=attachment, congestion_control=congestion)
                    sent += 1
        except SendFailed as error:
            error.sent = sent
            raise
        except self._zenoh.ZError as error:
            if self.closed:
                raise ChannelClosed from error
            refused = SendFailed(f"{self.url} does not take it: {error}")
            refused.sent = sent
            raise refused from error

    def when_writable(self, action: Callable[[], None]) -> None:
        action()  # where there is no space, Zenoh drops, or blocks in ``put``

    def flush(self, seconds: float = _PATIENCE) -> None:
        """Wait until the router has taken note of all that was said before; raises ``CannotOpen`` if it is away."""
        ended, answers = Latch(), list[bool]()

        def hear() -> None:
            answers.append(self._up)  # now: that it goes away after it has answered is no failure
            ended.set()

        self._ask(hear)
        if not ended.wait(seconds) or not answers[0]:
            raise CannotOpen(f"{self.url} does not answer; open the channel again when it is back")

    def _ask(self, answered: Callable[[], object]) -> None:
        """Have ``answered`` called once the router has answered a question that nobody else answers."""
        drop = self._zenoh.handlers.Callback(_ignore, lambda: answered() and None, indirect=False)
        self._session.get(f"rx/nobody/{self.session}", drop, timeout=_PATIENCE)

    # What Zenoh calls, on threads of its own, or within ``put``.

    def _callback(self, action: Callable[[Any], None]) -> Any:
        return self._zenoh.handlers.Callback(action, indirect=False)

    def _take(self, end: ZenohEnd, sample: Any) -> None:
        sender = keys.sender_to_group(str(sample.key_expr)) or ("", 0)
        self._give(end, sample, sender, direct=False)

    def _take_direct(self, sample: Any) -> None:
        words = str(sample.key_expr).split("/")
        number = whole_or_none(words[3]) if len(words) == 6 else None
        end = None if number is None else self._ends.get(number)
        sender = keys.sender_in("/".join(words[4:]))
        if end is not None and sender is not None and end.hears is not Hears.NOTHING:
            self._give(end, sample, sender, direct=True)

    def _give(self, end: ZenohEnd, sample: Any, sender: Address, *, direct: bool) -> None:
        attachment = sample.attachment
        number = keys.number_in(
            None if attachment is None else attachment.to_bytes(), by_topic=end.by_topic and not direct
        )
        message = Message(
            sample.payload.to_bytes(),
            *sender,
            end.group.family,
            time.time(),
            direct,
            "",
            end.sender_address if direct else end.to_group,
        )
        end.arrive((message,), (number,))

    def _on_transport(self, event: Any) -> None:
        """A connection to a router was opened or lost."""
        router = str(event.transport.zid)
        if event.kind == self._zenoh.SampleKind.PUT:
            self._routers.add(router)
            if not self._up:
                self._thread.post(self._come_back)
            return
        self._routers.discard(router)
        with self._lock:
            lost, self._up = self._up and not self._routers and not self.closed, bool(self._routers)
        if lost:
            self._tell_all(NetworkChange.DOWN)

    def _come_back(self) -> None:
        """There is a router again: tell once it has all subscriptions, which Zenoh declares by itself."""
        if self.closed:
            return
        with suppress(self._zenoh.ZError):
            self._ask(partial(self._thread.post, self._tell_back))

    def _tell_back(self) -> None:
        with self._lock:
            back, self._up = not self._up and bool(self._routers) and not self.closed, bool(self._routers)
        if back:
            self._tell_all(NetworkChange.UP)

    # The end: see SharedConnection.

    def _close_after_last_sends(self) -> None:
        with suppress(CannotOpen):
            self.flush(_LAST_WORDS)
        self.close()

    def _let_go(self) -> None:
        self._up = False
        with suppress(self._zenoh.ZError):
            self._session.close()
        self._gone.set()

    def forget(self) -> None:
        super().forget()
        self._up = False
        # Letting go of the session would have it say goodbye by threads that this process does not have.
        declared = (
            *self._subscribers.values(),
            *self._keys.values(),
            *(each for life in self._life.values() for each in life),
        )
        for kept in (self._session, self._listener, self._direct, *declared):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


def _ignore(_reply: object) -> None:
    pass
