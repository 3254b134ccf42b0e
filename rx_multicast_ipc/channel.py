"""A channel: one process's end of a multicast group."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar, overload

import msgspec
from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ._html import html_table
from .channel_events import ChannelEvent, Gap
from .channel_options import ChannelOptions, complete
from .channel_statistics import Statistics
from .errors import ChannelClosed, InvalidKey, InvalidOption, Unsupported
from .group import Group, check_port
from .group_state.lazy_group_state import LazyGroupState
from .message import Address, Message
from .option_values.key import Key, check_keys
from .option_values.member import Member
from .option_values.reliable import Acknowledged
from .receiving.async_iteration import HotObservable
from .receiving.event_loop_delivery import on_its_loop
from .receiving.inbox import Inbox
from .receiving.pending_wait import Predicate
from .sending.cold_send import Send, end_of, send_to, shown_payload
from .subscribing.never_subscribed import ColdObservable
from .transport import OpenTransport, Transport
from .transport.opening import as_options_say
from .transport.opening import open_transport as open_current
from .validation.arguments import check_callable, check_flag, check_predicate, check_seconds, check_timeout, shown
from .validation.not_copied import NotCopied
from .validation.payload import Payload, as_payload
from .validation.stream import HasStreams
from .validation.topic_pattern import check_pattern

if TYPE_CHECKING:
    from typing_extensions import TypeForm  # what checkers bring with them; nothing is imported at run time

    from .group_state.latest.value import LatestValue
    from .payload_codecs import Codec, Format
    from .sending.paced_send_all import Payloads
    from .subscribing.decode_errors import OnDecodeError
    from .topics.topic import Topic
    from .topics.topic_message import TopicMessage
    from .topics.topic_router import TopicRouter

_T = TypeVar("_T")


class Channel(HasStreams, NotCopied):
    """One process's end of a multicast group: what it hears, and ways to speak. Made by :func:`open_channel`.

    Everything is delivered on one thread, serially: the channel's I/O thread, or with ``read_on="loop"`` that of an
    event loop. Messages to the group keep their order of arrival, and so do direct ones; the two kinds come by
    different sockets. Subscribers that bring an asyncio scheduler (``await`` does) are served on their loop. A channel
    is a context manager, ``with`` and ``async with``, that closes it at the end.
    """

    _stream_meant = "messages"
    _called_here: ClassVar = {"publish": ".topic(name, type).publish(value), or .broadcast(data)"}

    def __init__(
        self,
        group: Group,
        open_transport: OpenTransport = open_current,
        options: ChannelOptions | None = None,
    ) -> None:
        if not isinstance(group, Group):
            raise InvalidOption(f"a Channel is made by open_channel(port, group), not of {shown(group)}")
        check_callable("open_transport", open_transport, ("a group", "options"), "or leave it out: open_channel(port)")
        checked = complete({} if options is None else options)
        self.opened_by: OpenTransport = open_transport
        """What opened its transport, without layers, and opens further ends beside it."""
        self._inbox = Inbox(group)
        self._state = LazyGroupState(self._inbox, checked)
        self._inbox.open(group, as_options_say(open_transport, checked), checked, self._state.prepare)
        self._state.begin()
        self._transport = self._inbox.transport
        self._payload_limit = self._transport.payload_limit

    @property
    def messages(self) -> HotObservable[Message]:
        """Hot: every message of the group, and every direct one, from subscription on; completes on close.

        On asyncio, ``async for message in channel.messages`` subscribes, too.
        """
        return self._inbox.messages

    @property
    def batches(self) -> HotObservable[list[Message]]:
        """Hot: the same messages, one list (at least one message; not to be changed) for each read."""
        return self._inbox.batches

    @property
    def events(self) -> HotObservable[ChannelEvent]:
        """Hot: what happens to the channel's network, once the channel has dealt with it; completes on close.

        A reliable channel tells of each :class:`Gap` here, before the next message of the same sender; a sealed one of
        what it :class:`Rejected`, and one without a key once that it hears sealed datagrams.

        Links that go down, interfaces that vanish and come back and addresses that change do not end ``messages``:
        the channel is back as soon as they are, within a second.
        """
        return self._inbox.events

    @property
    def deliveries(self) -> HotObservable[Message | Gap]:
        """Hot: every message, and in its place each :class:`Gap`, which only a reliable channel has."""
        return self._inbox.deliveries

    @property
    def members(self) -> HotObservable[frozenset[Member]]:
        """Who is in the group, this channel with them: the set now, at subscription, and then after each change.

        Those are in it that were opened with ``presence=``, as this one must be. Who came and who left is told on
        ``events``, too, as :class:`Joined` and :class:`Left`. A channel that was just opened knows the others within an
        interval. Completes on close.

        Raises:
            Unsupported: it was opened without ``presence=``.
        """
        return self._state.get().members

    @property
    def group(self) -> Group:
        """Which group, on which port, over which interface."""
        return self._transport.group

    @property
    def sender_address(self) -> Address:
        """This channel's own ``(address, port)``: where its messages come from, and where replies to them go.

        On several interfaces, the address on the first of them; the port is the same on all.
        """
        return self._transport.sender_address

    @property
    def scheduler(self) -> PeriodicScheduler:
        """Runs timers on the channel's own thread, serial with delivery. They run on after close."""
        return self._transport.scheduler

    @property
    def statistics(self) -> Statistics:
        """What was counted since the channel was opened."""
        return msgspec.structs.replace(self._transport.statistics, discarded=self._inbox.discarded)

    @property
    def transport(self) -> Transport:
        """What carries its datagrams."""
        return self._transport

    @property
    def closed(self) -> bool:
        """Whether the channel was closed."""
        return self._transport.closed

    @overload
    def broadcast(self, data: Payload, *, acknowledged: Literal[False] = False) -> Observable[None]: ...

    @overload
    def broadcast(
        self, data: Payload, *, acknowledged: Literal[True], timeout: float | None = None
    ) -> Observable[Acknowledged]: ...

    def broadcast(
        self, data: Payload, *, acknowledged: bool = False, timeout: float | None = None
    ) -> Observable[None] | Observable[Acknowledged]:
        """Cold: each subscription sends ``data`` to everyone in the group, this channel too, and emits None.

        Args:
            data: text (sent as UTF-8) or bytes-like, 65 507 bytes at most (IPv6: 65 527); on a reliable channel as
                many as its ``largest``.
            acknowledged: emit an :class:`Acknowledged` instead: on a reliable channel once all other ends that were
                there when it was sent have it, or left; on an engine once a stream has it, and then subscribing again,
                as ``ops.retry`` does, makes no second message.
            timeout: seconds to wait for that; None waits as long as it takes. One who is silent for 30 s has left.

        Raises:
            InvalidPayload, PayloadTooLarge, InvalidOption: at once.
            Unsupported: at once, for an acknowledgement on a channel that is neither reliable nor on an engine.
            ChannelClosed: at once, or from the Observable if closed before it was subscribed.
            SendFailed: from the Observable.
            MessageTimeout: from the Observable; it names those whose acknowledgement is missing.
        """
        transport = self._transport
        if transport.closed:
            raise ChannelClosed
        if acknowledged is not False or timeout is not None:
            if not check_flag("acknowledged", acknowledged):
                raise InvalidOption("timeout= limits the wait for acknowledgements; pass acknowledged=True with it")
            from .sending.acknowledged_send import send_acknowledged

            payload, seconds = as_payload(data, self._payload_limit), check_timeout(timeout)
            return send_acknowledged(transport, payload, seconds, self._inbox.closing)
        if type(data) is bytes and len(data) <= self._payload_limit:  # and no call for what is right already
            return Send(transport, data)
        return Send(transport, as_payload(data, self._payload_limit))

    @overload
    def send(self, data: Payload, port: Address) -> Observable[None]: ...
    @overload
    def send(self, data: Payload, port: int, address: str) -> Observable[None]: ...
    def send(self, data: Payload, port: int | Address, address: str | None = None) -> Observable[None]:
        """Cold: each subscription sends ``data`` to one address and emits None.

        Args:
            data: as for :meth:`broadcast`.
            port: UDP port; or both as one pair ``(address, port)``, such as a message's ``sender``.
            address: a numeric address; or a host name, looked up on a thread of its own at every
                subscription; ``""`` is this machine.

        Raises:
            InvalidPayload, PayloadTooLarge, InvalidPort, InvalidAddress, ChannelClosed: at once.
            InvalidAddress: from the Observable, for a name that stands for no usable address.
            SendFailed: from the Observable.
        """
        return send_to(self._open_transport, self._payload(data), *end_of(port, address))

    def reply(self, message: Message, data: Payload) -> Observable[None]:
        """Cold: each subscription sends ``data`` to the one process that sent ``message``. See :meth:`send`."""
        if not isinstance(message, Message):
            raise InvalidOption(f"reply() answers a Message, not {shown(message)}: write reply(message, data)")
        port = check_port(message.port, "reply port")
        return send_to(self._open_transport, self._payload(data), port, message.address)

    def broadcast_all(self, source: Payloads, *, rate: float | None = None, linger: float = 0.0) -> Observable[int]:
        """Cold: each subscription sends every payload of ``source``, in order, and emits how many were sent.

        Args:
            source: payloads: an Observable, or an iterable. A sequence (a list, a tuple) is sent many at a time,
                runs of equal sizes at a tenth of the cost; an iterator one by one, for it may wait for answers.
            rate: messages a second (before Python 3.13 the clock of Windows ticks every 15.6 ms, and what is due within
                a tick leaves at its end, together); None sends as fast as ``source`` gives, which can drown receivers,
                also on this machine: it does not wait for them.
                With a rate, or once a send on an event loop waited for a full send buffer, an iterable is taken from on
                the channel's I/O thread, so it must not block; what an Observable gives faster than the rate waits in
                memory, up to 65 536 payloads and 64 MiB.
            linger: seconds that a payload of an Observable may wait for more, to leave together with them: at a tenth
                of the cost, for the receivers too. 64 of them wait for no more, nor do the last ones.

        Raises:
            InvalidOption, InvalidPayload: at once, for what is no source, rate or time.
            SendFailed, InvalidPayload, PayloadTooLarge: from the Observable; the later ones are not sent.
            SendFailed: from the Observable, for an Observable that is faster than the link or the rate for too long.
            ChannelClosed: from the Observable, as soon as the channel closes.
        """
        from .sending.paced_send_all import send_all

        return send_all(self._open_transport, source, rate, self.scheduler, self._inbox.closing, linger)

    def wait_for_message(
        self, predicate: Predicate | None = None, *, timeout: float | None = None
    ) -> Observable[Message]:
        """Cold: emits the next message that matches, and completes.

        A wait starts where the one before ended, the first where the channel was opened, so nothing is lost
        between two of them (up to ``backlog`` messages). What it passes over is gone for later waits.
        Waits that overlap see the same messages. On asyncio use ``timeout=`` rather than ``asyncio.wait_for``: a
        cancellation that meets its message on the way to the loop loses it.

        Args:
            predicate: chooses: any true value matches; None takes every message. What it raises ends the wait.
            timeout: seconds; None waits for ever.

        Raises:
            InvalidOption: at once, for a timeout that is no number of seconds.
            ChannelClosed: at once or from the Observable.
            MessageTimeout: from the Observable.
        """
        _ = self._open_transport
        if predicate is not None:
            check_predicate(predicate)
        return self._inbox.backlog.wait(predicate, check_timeout(timeout))

    def request(self, data: Payload, predicate: Predicate, *, timeout: float | None = None) -> Observable[Message]:
        """Cold: each subscription broadcasts ``data``, then emits the first answer that matches, and completes.

        It listens before it sends, never takes the channel's own messages for an answer, and leaves what does
        not match to :meth:`wait_for_message`. ``ops.retry(3)`` asks again.

        Args:
            data: as for :meth:`broadcast`.
            predicate: chooses the answer.
            timeout: seconds; None waits for ever.

        Raises:
            As for :meth:`broadcast` and :meth:`wait_for_message`.
        """
        transport = self._open_transport
        payload = self._payload(data)
        check_predicate(predicate)

        what = f"request of {shown_payload(payload)}"
        return self._inbox.backlog.request(
            lambda: transport.send(payload), _of_others(transport, predicate), check_timeout(timeout), what
        )

    def request_all(self, data: Payload, predicate: Predicate, *, timeout: float) -> Observable[Message]:
        """Cold: each subscription broadcasts ``data``, emits every answer that matches, and completes in time.

        As :meth:`request`, but for all who answer: ``ops.to_list()`` makes a list of them, which may be empty.

        Args:
            data: as for :meth:`broadcast`.
            predicate: chooses the answers.
            timeout: seconds; how long it listens, and no error at their end.

        Raises:
            As for :meth:`broadcast`; ChannelClosed: from the Observable.
        """
        transport = self._open_transport
        payload = self._payload(data)
        seconds = check_seconds("timeout", timeout)
        check_predicate(predicate)

        what = f"request of {shown_payload(payload)} to all"
        return self._inbox.backlog.request_all(
            lambda: transport.send(payload), _of_others(transport, predicate), seconds, what
        )

    def respond(self, predicate: Predicate, handler: Callable[[Message], Payload]) -> Observable[Message]:
        """Cold: while subscribed, answers each message that matches, to the asker alone, and emits it then.

        The channel's own messages are not answered. What the predicate or the handler raises, and a reply that fails,
        is reported (see :func:`set_unhandled_error_hook`), and the next one who asks is answered all the same. On a
        network, a stranger may ask in the name of another address, which then gets the answer: keep answers short, or
        use ``key=``.

        Args:
            predicate: chooses the messages that are questions.
            handler: takes one, and returns the answer: text or bytes-like.

        Raises:
            ChannelClosed, InvalidOption: at once.
        """
        from .sending.responding import answers

        transport, limit = self._open_transport, self._payload_limit  # not the channel, which may be forgotten

        def is_own(message: Message) -> bool:
            return message.sender in transport.own_addresses

        def reply(message: Message, data: Payload) -> Observable[None]:
            return send_to(transport, as_payload(data, limit), message.port, message.address)

        return answers(self._inbox.messages, is_own, reply, predicate, handler)

    @overload
    def topic(
        self,
        name: str,
        type: TypeForm[_T],
        format: Format | Codec[Any] = "json",
        *,
        on_error: OnDecodeError = "log",
    ) -> Topic[_T]: ...
    @overload
    def topic(
        self, name: str, *, format: Format | Codec[Any] = "json", on_error: OnDecodeError = "log"
    ) -> Topic[Any]: ...
    def topic(
        self,
        name: str,
        type: Any = Any,
        format: Format | Codec[Any] = "json",
        *,
        on_error: OnDecodeError = "log",
    ) -> Topic[Any]:
        """What is published under ``name``, as values: ``name\\0payload`` in a datagram, and nothing else.

        Args:
            name: levels between ``/``, such as ``"robot/pose"``: UTF-8 of 128 bytes at most, without NUL and ``*``.
            type: of the values, any that msgspec knows (Struct, dataclass, ``list[int]``, ``Pose | Battery``, ...);
                whatever the payload holds, if not given.
            format: ``"json"``, ``"msgpack"``, or an object with ``encode(value)`` and ``decode(data)``.
            on_error: what becomes of a payload that cannot be decoded: as for :func:`operators.decode`.

        Raises:
            InvalidTopic, InvalidOption: at once.
        """
        from .topics.topic import Topic

        transport, limit = self._transport, self._payload_limit  # not the channel, which may be forgotten

        def broadcast(data: bytes) -> Observable[None]:
            if transport.closed:
                raise ChannelClosed
            return Send(transport, as_payload(data, limit))

        state = self._state

        def latest() -> LatestValue[Any]:
            return state.get().latest(name, type, format, on_error)

        return Topic(name, type, format, on_error, self._router, broadcast, latest)

    def topics(self, pattern: str = "**") -> HotObservable[TopicMessage]:
        """Hot: what is published to every topic that matches, for exploring; completes on close.

        Args:
            pattern: a name in which ``*`` stands for one level and, at the end, ``**`` for the rest, none or more:
                ``"robot/*"``, ``"*/pose"``, ``"robot/**"``.

        Raises:
            InvalidTopic: at once.
        """
        return self._router.matching(pattern, check_pattern(pattern))

    def change_key(self, key: Key | Sequence[Key]) -> None:
        """Seal with another key from now on; nothing that is under way, or that a reliable channel repairs, is lost.

        To change the key of a group without losing a message, change it on all members, three times: first to
        ``(old, new)``, so that all open both; then to ``(new, old)``; then to ``new``. What is sealed with the old key
        is refused from then on.

        Args:
            key: as ``key=`` of :func:`open_channel`.

        Raises:
            InvalidKey: it is none.
            Unsupported: this channel is not sealed; nothing can be added to it that others would not know of.
            ChannelClosed: after close.
        """
        keys = check_keys("key", key)
        transport: Any = self._open_transport
        if not keys:
            raise InvalidKey("a sealed channel stays sealed; open another one without key=")
        if not hasattr(transport, "change_keys"):
            raise Unsupported("this channel is not sealed; open it with key=")
        transport.change_keys(keys)

    @overload
    def latest(self, name: str) -> LatestValue[bytes]: ...
    @overload
    def latest(
        self,
        name: str,
        type: TypeForm[_T],
        format: Format | Codec[Any] = "json",
        *,
        on_error: OnDecodeError = "log",
    ) -> LatestValue[_T]: ...
    def latest(
        self,
        name: str,
        type: Any = bytes,
        format: Format | Codec[Any] = "json",
        *,
        on_error: OnDecodeError = "log",
    ) -> LatestValue[Any]:
        """A value that the group shares under ``name``: who comes late gets the last one, and then each new one.

        All channels that called this keep the value, from the call on until they close, and answer who comes later.
        Anybody may set it, and the later one wins, everywhere the same. It needs no option of the channel.

        Args:
            name: as of a :meth:`topic`.
            type: of the value, any that msgspec knows; ``bytes``, if not given: as they are, text as UTF-8.
            format: ``"json"``, ``"msgpack"``, or an object with ``encode(value)`` and ``decode(data)``.
            on_error: what becomes of bytes that cannot be decoded: as for :func:`operators.decode`.

        Raises:
            InvalidTopic, InvalidOption, ChannelClosed: at once.
        """
        return self._state.get().latest(name, type, format, on_error)

    def unbind(self) -> Observable[None]:
        """Cold: closes the channel, completes ``messages``, and emits None when that is done; idempotent."""

        def subscribe(observer: ObserverBase[None], scheduler: SchedulerBase | None = None) -> DisposableBase:
            receiver = on_its_loop(scheduler, observer)

            def tell(_: Exception) -> None:
                receiver.on_next(None)
                receiver.on_completed()

            if self._transport.ended:  # also where nobody told, as in a forked child
                tell(ChannelClosed())
                return Disposable()
            subscription = self._inbox.closing.add(tell)
            self.close(wait=False)
            return subscription

        return ColdObservable(subscribe, "unbind")

    def close(self, *, wait: bool = True) -> None:
        """Close the channel and complete ``messages``; idempotent. When it returns, nothing more is delivered.

        Args:
            wait: False returns at once, and the channel closes as soon as a running subscriber ends. True
                waits for that, for 5 seconds at most; in a subscriber on an I/O thread it does not wait.
        """
        self._inbox.stop()
        router: TopicRouter | None = vars(self).get("_topics")
        if router is not None:
            router.stop()
        self._state.stop()
        self._transport.close(wait=wait)

    def __enter__(self) -> Self:
        _ = self._open_transport
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        _ = self._open_transport
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.unbind()

    def __del__(self) -> None:
        inbox: Inbox | None = getattr(self, "_inbox", None)
        if inbox is None or not inbox.is_open:
            return
        if not hasattr(self, "_payload_limit"):  # it was interrupted while it was made, and nobody ever had it
            inbox.transport.close(wait=False)
            return
        if not isinstance(inbox.transport.scheduler, VirtualTimeScheduler):  # which has nothing that could leak
            warnings.warn(
                f"{self!r} was forgotten without being closed, so it stays open to the end of the process; "
                "use it in a with block, or keep it and call close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def __repr__(self) -> str:
        address, port = self.sender_address
        return f"<Channel {self.group}, sending from {address}:{port}{', closed' if self.closed else ''}>"

    def _repr_html_(self) -> str:
        """For notebooks: where it is, and what it counted. Looking subscribes to nothing."""
        address, port = self.sender_address
        facts = {"group": self.group, "sends from": f"{address}:{port}", "open": not self.closed}
        return html_table("Channel", {**facts, **msgspec.structs.asdict(self.statistics)})

    @property
    def _open_transport(self) -> Transport:
        if self._transport.closed:
            raise ChannelClosed
        return self._transport

    @property
    def _router(self) -> TopicRouter:
        """Made by the first topic, for most channels have none."""
        made: dict[str, Any] = vars(self)
        if "_topics" not in made:
            from .topics.topic_router import TopicRouter

            made.setdefault("_topics", TopicRouter(self._inbox.messages))  # one, on whatever threads
        return made["_topics"]

    def _payload(self, data: Payload) -> bytes:
        return as_payload(data, self._payload_limit)


def _of_others(transport: Transport, predicate: Predicate) -> Predicate:
    """Whether a message matches, and the channel did not send it itself."""
    return lambda message: message.sender not in transport.own_addresses and predicate(message)


def make_channel_in(
    made: list[Channel],
    group: Group,
    open_transport: OpenTransport = open_current,
    options: ChannelOptions | None = None,
) -> Channel:
    """A channel that is in ``made`` before it opens anything.

    So whoever is interrupted, as it is made or before it is kept anywhere, still finds it: see :func:`close_all`.
    """
    channel = Channel.__new__(Channel)
    made.append(channel)
    channel.__init__(group, open_transport, options)
    return channel


def close_all(made: list[Channel]) -> None:
    """Close what :func:`make_channel_in` made, as far as it came, without waiting."""
    for channel in made:
        inbox = channel._inbox if hasattr(channel, "_inbox") else None  # pyright: ignore[reportPrivateUsage]
        if inbox is not None and inbox.is_open:
            inbox.transport.close(wait=False)
