"""The process's shared channels: messages and sends without a channel in hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import RLock
from typing import Literal, NamedTuple, Unpack, overload

import msgspec
from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.typing import Subscription

from .channel import Channel, close_all, make_channel_in
from .channel_options import ChannelOptions, complete, group_of, takes_channel_options
from .errors import ChannelClosed, InvalidOption
from .group import Group, Interfaces
from .message import Address, Message
from .option_values.engines import LARGEST_ON_ENGINES, Since
from .option_values.key import Key, Keys, check_keys, keys_of_environment
from .receiving.async_iteration import HotObservable
from .sending.cold_send import Send, end_of, send_to
from .sending.kept_sender import with_sender
from .transport import OpenTransport, Transport
from .transport.ip_datagrams import PAYLOAD_LIMITS, check_ip_destination, no_names
from .transport.opening import current
from .transport.sealed.wire_format import MESSAGE_OVERHEAD
from .transport.turns import Turns
from .validation.arguments import check_flag
from .validation.payload import Payload, as_payload


@takes_channel_options
def messages(
    port: int | None = None,
    group: str | None = None,
    *,
    since: Since | None = None,
    until_now: bool = False,
    **options: Unpack[ChannelOptions],
) -> HotObservable[Message]:
    """Hot: every message of a group, this process's own among them. With ``since``, cold: the past first.

    The process opens one channel for equal arguments: with the first subscriber, and closes it with the last.
    :func:`broadcast` and :func:`send` with the same arguments send from it while it is open, so that replies
    to them arrive here.

    Args:
        port, group: as for :func:`open_channel`.
        since: on an engine with a stream that keeps them (NATS with JetStream): each subscription emits what was kept,
            and then what comes, in the stream's order and without a gap. ``"all"``; ``"last"``: from the last message
            on; a number of seconds before now; or a ``datetime``. ``received_at`` is when the stream took a message.
        until_now: with ``since``, complete where the past ends, also if it is empty.
        **options: see :class:`ChannelOptions`. There are no waits here, so no ``backlog`` either: it is not kept.

    Raises:
        InvalidPort, InvalidGroup, InvalidInterface, InvalidTTL, InvalidAddress, InvalidOption, UnknownOption: a
            mistake in the call, at once.
        CannotOpen, InvalidInterface: from the Observable.
    """
    checked = complete({**options, "backlog": 1})
    joined = group_of(port, group, checked)
    if since is not None:
        from .receiving.past_messages import check_since, history

        return history(check_since(since, until_now, joined, checked), joined, since, until_now, checked.get("topics"))
    if check_flag("until_now", until_now):
        raise InvalidOption('until_now ends what since= begins; pass since="all" with it')

    def subscribe(observer: ObserverBase[Message], scheduler: SchedulerBase | None = None) -> DisposableBase:
        key = _Key(joined, _apart_from_the_group(checked), current())
        taken: list[Channel] = []
        try:
            channel = _acquire(key, checked, taken)
            subscription = channel.messages.subscribe(observer, scheduler=scheduler)
            return CompositeDisposable(subscription, Disposable(lambda: _release(key, channel)))
        except BaseException:  # Ctrl-C, too
            for channel in taken:
                _release(key, channel)
            raise

    return _Messages(subscribe, joined)


def broadcast(
    data: Payload,
    port: int | None = None,
    group: str | None = None,
    *,
    interface: Interfaces | None = None,
    ttl: int | None = None,
    key: Key | Sequence[Key] | Literal[False] | None = None,
) -> Observable[None]:
    """Cold: each subscription sends ``data`` to everyone in the group and emits None.

    Args:
        data: text (sent as UTF-8) or bytes-like, 65 507 bytes at most (IPv6: 65 527).
        port, group, interface, ttl, key: as for :func:`open_channel`.

    Raises:
        InvalidPayload, PayloadTooLarge, InvalidPort, InvalidGroup, InvalidInterface, InvalidTTL, InvalidKey: at once.
        CannotOpen, InvalidInterface, MissingExtra, SendFailed: from the Observable.
    """
    sender = _SharedSender(Group.of(port, group, interface, ttl), key)
    return Send(sender, as_payload(data, sender.payload_limit))


@overload
def send(
    data: Payload,
    port: Address,
    *,
    group_port: int | None = None,
    group: str | None = None,
    interface: Interfaces | None = None,
    ttl: int | None = None,
    key: Key | Sequence[Key] | Literal[False] | None = None,
) -> Observable[None]: ...
@overload
def send(
    data: Payload,
    port: int,
    address: str,
    *,
    group_port: int | None = None,
    group: str | None = None,
    interface: Interfaces | None = None,
    ttl: int | None = None,
    key: Key | Sequence[Key] | Literal[False] | None = None,
) -> Observable[None]: ...
def send(
    data: Payload,
    port: int | Address,
    address: str | None = None,
    *,
    group_port: int | None = None,
    group: str | None = None,
    interface: Interfaces | None = None,
    ttl: int | None = None,
    key: Key | Sequence[Key] | Literal[False] | None = None,
) -> Observable[None]:
    """Cold: each subscription sends ``data`` to one address and emits None.

    Args:
        data: as for :func:`broadcast`.
        port: the destination's UDP port; or both as one pair ``(address, port)``, such as a message's ``sender``.
        address: a numeric address, or a host name, looked up on a thread of its own.
        group_port, group, interface, ttl, key: as for :func:`messages`, whose channel it is sent from while open.

    Raises:
        As :func:`broadcast`, and InvalidAddress: at once, or from the Observable for a name.
    """
    sender = _SharedSender(Group.of(group_port, group, interface, ttl), key)
    return send_to(sender, as_payload(data, sender.payload_limit), *end_of(port, address))


class _Messages(HotObservable[Message]):
    def __init__(self, subscribe: Subscription[Message], group: Group) -> None:
        super().__init__(subscribe)
        self._group = group

    def __repr__(self) -> str:
        return f"<messages of {self._group}: hot, shared by this process>"


class _Key(NamedTuple):
    group: Group
    options: frozenset[tuple[str, object]]
    opened_by: OpenTransport


class _Shared:
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.users = 0


_channels: dict[_Key, _Shared] = {}
_lock = RLock()  # a signal handler may subscribe while its thread does
_turns = Turns()


def _acquire(key: _Key, options: ChannelOptions, taken: list[Channel]) -> Channel:
    """The channel for ``key``, which is in ``taken`` once it is to be released."""
    made: list[Channel] = []
    try:
        with _turns.of(key):  # one opens it, and the others wait for it: to connect to an engine may take seconds
            if not _take(key, taken):
                channel = make_channel_in(made, key.group, key.opened_by, options)
                with _lock:
                    if not _take(key, taken):  # else a signal handler opened one meanwhile
                        _channels[key] = _Shared(channel)
                        _take(key, taken)
    finally:
        unused = [channel for channel in made if channel not in taken]  # after Ctrl-C, too
        with _lock:
            if key in _channels and _channels[key].channel in unused:
                del _channels[key]
        close_all(unused)
    return taken[-1]


def _take(key: _Key, taken: list[Channel]) -> bool:
    """Whether there is a channel for ``key``, which has a user more now."""
    with _lock:
        shared = _channels.get(key)
        if shared is None or shared.channel.closed:
            return False
        shared.users += 1
        taken.append(shared.channel)
        return True


def _release(key: _Key, channel: Channel) -> None:
    with _lock:
        shared = _channels.get(key)
        if shared is None or shared.channel is not channel:
            return  # a fault closed it, and others opened the next one
        shared.users -= 1
        if shared.users:
            return
        del _channels[key]
    channel.close(wait=False)  # whoever disposes may hold a lock that a running subscriber wants


class _SharedSender:
    """Sends from the group's shared channel while there is one, else from one that is kept for a moment."""

    def __init__(self, group: Group, key: Key | Sequence[Key] | Literal[False] | None) -> None:
        self.group = group
        self._keys: Keys | Literal[False] = keys_of_environment() if key is None else check_keys("key", key)

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        transport = self._open()
        if transport is not None:
            with suppress(ChannelClosed):  # its last subscriber may leave at this very moment
                transport.send(payload, destination)
                return
        with_sender(self.group, self._keys, lambda sender: sender.send(payload, destination))

    @property
    def payload_limit(self) -> int:
        if self.group.engine is not None:
            return LARGEST_ON_ENGINES
        return PAYLOAD_LIMITS[self.group.family] - (MESSAGE_OVERHEAD if self._keys else 0)

    def check_destination(self, address: str) -> str | None:
        if self.group.engine is not None:
            return address  # which the engine checks
        numeric = check_ip_destination(address, self.group)
        if numeric is None and not getattr(current(), "has_names", True):
            raise no_names(address)
        return numeric

    def look_up(self, name: str) -> str:
        transport = self._open()
        if transport is not None:
            return transport.look_up(name)
        return with_sender(self.group, self._keys, lambda sender: sender.look_up(name))

    def call(self, action: Callable[[], None]) -> None:
        transport = self._open()
        if transport is not None:
            transport.call(action)
        else:
            action()

    def when_writable(self, action: Callable[[], None]) -> None:
        transport = self._open()
        if transport is not None:
            transport.when_writable(action)
        else:
            action()

    def _open(self) -> Transport | None:
        with _lock:
            for key, shared in _channels.items():
                joined = msgspec.structs.replace(key.group, sources=())  # whom it hears does not matter here
                options = dict(key.options)
                is_alike = not options["reliable"] and options["key"] == self._keys  # else peers would not hear it
                if (joined, key.opened_by) == (self.group, current()) and is_alike and not shared.channel.closed:
                    return shared.channel.transport
        return None


def _apart_from_the_group(options: ChannelOptions) -> frozenset[tuple[str, object]]:
    return frozenset((name, value) for name, value in options.items() if name not in ("interface", "ttl", "sources"))


def _forget_all() -> None:
    """Start afresh in a forked child: the channels are the parent's, and the lock may have been held."""
    global _lock, _turns
    _lock, _turns = RLock(), Turns()
    _channels.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
