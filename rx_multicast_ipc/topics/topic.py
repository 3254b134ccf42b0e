"""A typed topic of a channel: what is published under one name, as values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from reactivex import Observable

from ..errors import DecodeFailed, InvalidOption, InvalidPayload
from ..message import Message, Received
from ..operators.codec import OnDecodeError, decode_error_handler
from ..payload_format import Codec, Format, format_of
from ..receiving.async_iteration import HotObservable
from ..subscriber_errors import detach, tell_all
from .topic_name import check_name
from .topic_router import RoutedSource, TopicRouter

_T = TypeVar("_T")


class Topic(Generic[_T]):
    """What is published under one name, as values of one type. Made by :meth:`Channel.topic`.

    On the wire it is ``name\\0payload``, so that anything that speaks UDP can publish and listen. Whoever is in the
    group hears all topics; the name chooses at the receiver.

    Args:
        name: the topic's name.
        type: of its values.
        format: of its payloads.
        on_error: what becomes of a bad payload.
        router: brings its datagrams.
        broadcast: sends one.
    """

    def __init__(
        self,
        name: str,
        type: Any,
        format: Format | Codec[Any],
        on_error: OnDecodeError,
        router: TopicRouter,
        broadcast: Callable[[bytes], Observable[None]],
    ) -> None:
        encoded = check_name(name)
        self._name = name
        self._class = _checked_class(type)
        self._prefix = encoded + b"\0"
        self._encode, self._decode = format_of(type, format)
        self._handle = decode_error_handler(on_error, f"cannot decode topic {name}", f"topic {name}: ")
        self._broadcast = broadcast
        self._stream: RoutedSource[_T] = router.source(self, encoded, f"topic {name}")
        self._received: RoutedSource[Received[_T]] = router.source(self, encoded, f"received of topic {name}")

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def stream(self) -> HotObservable[_T]:
        """Hot: every value that is published, from subscription on, by this channel too; completes on close."""
        return self._stream

    @property
    def received(self) -> HotObservable[Received[_T]]:
        """Hot: the same values, each with the message that brought it: who sent it, when, and where a reply goes."""
        return self._received

    def publish(self, value: _T) -> Observable[None]:
        """Cold: each subscription sends ``value`` to everyone in the group and emits None.

        ``value`` is encoded at once, so later changes to it do not matter.

        Raises:
            InvalidPayload, PayloadTooLarge: at once.
            ChannelClosed: at once, or from the Observable if closed before it was subscribed.
            SendFailed: from the Observable.
        """
        return self._broadcast(self.encode(value))

    def encode(self, value: _T) -> bytes:
        """The datagram that :meth:`publish` sends, for :meth:`Channel.broadcast_all`, ``send`` and ``reply``.

        Raises:
            InvalidPayload: ``value`` is of another type, or cannot be encoded.
        """
        if self._class is not None and not isinstance(value, self._class):
            raise InvalidPayload(f"topic {self._name} carries {_shown(self._class)}, not {value!r}")
        try:
            return self._prefix + self._encode(value)
        except Exception as error:
            raise InvalidPayload(f"topic {self._name} cannot carry {value!r}: {error}") from error

    @property
    def observed(self) -> bool:
        """Whether anybody is subscribed."""
        return self._stream.observed or self._received.observed

    def deliver(self, payload: bytes, message: Message) -> None:
        """For the router: decode once, for all who listen."""
        try:
            value = self._decode(payload)
        except Exception as error:
            self._refuse(message, error)
            return
        except BaseException as error:  # sys.exit() in a codec costs other topics nothing
            detach(self._end_subscribers, error)
            return
        if self._stream.observed:
            self._stream.emit((value,))
        if self._received.observed:
            self._received.emit((Received(value, message),))

    def stop(self) -> None:
        """For the router: the channel is being closed."""
        self._stream.stop()
        self._received.stop()

    def end(self, error: Exception | None = None) -> None:
        """For the router: the channel ended."""
        tell_all([partial(self._stream.end, error), partial(self._received.end, error)])

    def __repr__(self) -> str:
        return f"<Topic {self._name}>"

    def _refuse(self, message: Message, error: Exception) -> None:
        failure = DecodeFailed(message, error)
        failure.__cause__ = error
        try:
            self._handle(failure)
        except Exception as raised:
            self._end_subscribers(raised)
        except BaseException as raised:
            detach(self._end_subscribers, raised)

    def _end_subscribers(self, error: Exception) -> None:
        ends = (self._stream.end_subscribers, self._received.end_subscribers)
        tell_all([partial(end, error) for end in ends])


def _checked_class(type_: Any) -> Any:
    """What values are instances of, where a class can tell."""
    if not isinstance(type_, type):
        if callable(type_) and not hasattr(type_, "__origin__") and not hasattr(type_, "__supertype__"):
            raise InvalidOption(
                f"a topic's values have a type, such as a msgspec.Struct, which {type_!r} is not; "
                "for a format of your own pass format= an object with encode() and decode()"
            )
        return None
    try:
        isinstance(None, type_)
    except TypeError:  # a TypedDict, a Protocol, list[int]
        return None
    return (int, float) if type_ is float else type_


def _shown(class_: Any) -> str:
    return "float" if isinstance(class_, tuple) else class_.__name__
