"""A typed topic of a channel: what is published under one name, as values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reactivex import Observable

from ..message import Received
from ..payload_codecs import Codec, Format
from ..receiving.async_iteration import HotObservable
from ..subscribing.decode_errors import OnDecodeError, decode_error_handler
from ..validation.not_copied import NotCopied
from ..validation.stream import HasStreams
from ..validation.topic_name import check_name
from .topic_router import TopicRouter
from .value_codec import ValueCodec

if TYPE_CHECKING:
    from ..group_state.latest.value import LatestValue

_T = TypeVar("_T")


class Topic(HasStreams, NotCopied, Generic[_T]):
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
        open_latest: opens the latest value of that name, type and format.
    """

    _stream_meant = "stream"

    def __init__(
        self,
        name: str,
        type: Any,
        format: Format | Codec[Any],
        on_error: OnDecodeError,
        router: TopicRouter,
        broadcast: Callable[[bytes], Observable[None]],
        open_latest: Callable[[], LatestValue[Any]],
    ) -> None:
        encoded = check_name(name)
        self._name = name
        self._prefix = encoded + b"\0"
        self._codec = ValueCodec(f"topic {name}", type, format)
        handle = decode_error_handler(on_error, f"cannot decode topic {name}", f"topic {name}: ")
        self._broadcast = broadcast
        self._open_latest = open_latest
        self._listener = router.listener(encoded, name, self._codec.decode, handle)

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def stream(self) -> HotObservable[_T]:
        """Hot: every value that is published, from subscription on, by this channel too; completes on close."""
        return self._listener.values

    @property
    def received(self) -> HotObservable[Received[_T]]:
        """Hot: the same values, each with the message that brought it: who sent it, when, and where a reply goes."""
        return self._listener.received

    @property
    def latest(self) -> LatestValue[_T]:
        """The latest value of the same name, type and format: see :meth:`Channel.latest`.

        Publishing does not set it, nor does setting it publish: the one is heard by who listens, the other by who comes
        later, too. Raises ``ChannelClosed``.
        """
        return self._open_latest()

    def publish(self, value: _T) -> Observable[None]:
        """Cold: each subscription sends ``value`` to everyone in the group and emits None.

        ``value`` is encoded at once, so later changes to it do not matter. Its class is checked where the topic's type
        is one, and never what is in it.

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
        return self._prefix + self._codec.encode(value)

    def __repr__(self) -> str:
        return f"<Topic {self._name}>"
