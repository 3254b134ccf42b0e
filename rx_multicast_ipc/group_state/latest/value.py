"""A latest value of a channel, as its users see it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase

from ...errors import InvalidOption, InvalidPayload
from ...message import Message
from ...payload_codecs import Codec, Format, PayloadFormat
from ...receiving.async_iteration import HotObservable
from ...strangers.printable_text import shown
from ...subscribing.decode_errors import OnDecodeError, decode_error_handler
from ...topics.value_codec import ValueCodec
from ...validation.payload import as_payload

_T = TypeVar("_T")


def _raw(value: Any) -> bytes:
    try:
        return as_payload(value, sys.maxsize)
    except InvalidPayload as error:
        raise InvalidPayload(f"{error}; or name its type: channel.latest(name, {type(value).__name__})") from error


_RAW: Final = PayloadFormat(_raw, bytes)
"""Bytes as they are, and text as UTF-8."""


class ValuePort(NamedTuple):
    """What a latest value needs of its channel.

    Attributes:
        held: Observable of the values: messages whose data are their bytes.
        set: makes the cold Observable that sets a value's bytes; raises for one that is too large.
    """

    held: Observable[Message]
    set: Callable[[bytes], Observable[None]]


class LatestValue(HotObservable[_T], Generic[_T]):
    """A value that the group shares under one name. Made by :meth:`Channel.latest`.

    An Observable: a subscriber gets the last value at once, if there is one, and then each new one. All channels that
    opened it keep it, so it outlives the one that set it as long as one of them is open. It completes on close.

    Args:
        name: the value's name.
        type: of the value; ``bytes`` is taken as it is.
        format: of its bytes.
        on_error: what becomes of bytes that cannot be decoded.
        open_port: leads to the channel; called once the other arguments are right.
    """

    def __init__(
        self,
        name: str,
        type: Any,
        format: Format | Codec[Any],
        on_error: OnDecodeError,
        open_port: Callable[[], ValuePort],
    ) -> None:
        super().__init__()
        self._name = name
        raw = type is bytes and isinstance(format, str)
        self._codec = ValueCodec(f"latest value {name}", Any if raw else type, _RAW if raw else format)
        self._handle = decode_error_handler(on_error, f"cannot decode latest value {name}", f"latest value {name}: ")
        self._port = open_port()

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def set(self, value: _T) -> Observable[None]:
        """Cold: each subscription sets ``value`` for everybody in the group, and emits None when it is out.

        ``value`` is encoded at once, so later changes to it do not matter. If two set it at the same time, one of both
        values wins, everywhere the same.

        Raises:
            InvalidPayload: at once, for a value of another type, or one that cannot be encoded.
            PayloadTooLarge: at once: it fits in one datagram, or, on a reliable channel, is at most ``largest``.
            ChannelClosed: at once, or from the Observable if closed before it was subscribed.
            SendFailed: from the Observable; then it is not set.
        """
        return self._port.set(self._codec.encode(value))

    if not TYPE_CHECKING:  # it has the types of every Observable's

        def publish(self, *mapper: Any) -> Any:
            """Reactivex's operator, which takes whatever it is given for a function."""
            if mapper and not callable(mapper[0]):
                raise InvalidOption(f"a latest value is not published, but set: .set({shown(mapper[0])})")
            return super().publish(*mapper)

    def __repr__(self) -> str:
        return f"<LatestValue {self._name}>"

    def _subscribe_core(self, observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
        def on_next(held: Message) -> None:
            try:
                value = self._codec.decode(held.data)
            except Exception as error:
                try:
                    self._handle(held, error)
                except Exception as raised:
                    observer.on_error(raised)
            else:
                observer.on_next(value)

        return self._port.held.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)
