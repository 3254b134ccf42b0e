"""What listens to one name: what is published under it comes to its sources, as values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from reactivex.abc import DisposableBase, SchedulerBase

from ..message import Message
from ..receiving.hot_source import HotSource, Subscriber
from ..subscribing.subscriber_errors import detach, tell_all

_T = TypeVar("_T")


class RoutedSource(HotSource[_T]):
    """A part of a channel's messages: it tells when somebody came or went, and counts its losses among theirs."""

    def __init__(self, name: str, changed: Callable[[], None], messages: HotSource[Message]) -> None:
        super().__init__(messages._refusal, name)
        self._changed = changed
        self._messages = messages

    def end_subscribers(self, error: Exception | None = None) -> None:
        super().end_subscribers(error)
        self._changed()

    def _add(self, subscriber: Any, observer: Any, scheduler: SchedulerBase | None) -> DisposableBase:
        try:
            added = super()._add(subscriber, observer, scheduler)
            self._changed()
        except BaseException:  # of a signal handler: nobody has it, so it must not take part
            self.remove(subscriber)
            raise
        return added

    def remove(self, subscriber: Any) -> None:
        super().remove(subscriber)
        self._changed()

    def _count_discarded(self, messages: int) -> None:
        self._messages._count_discarded(messages)


class Hearing(NamedTuple):
    """What a message comes to at one listener.

    Attributes:
        decode: makes a value of what stands behind the name, once for all who listen.
        values: who gets the value.
        received: who gets it with the message.
        listener: is told what was raised.
    """

    decode: Callable[[bytes], Any]
    values: tuple[Subscriber[Any], ...]
    received: tuple[Subscriber[Any], ...]
    listener: TopicListener


class TopicListener:
    """The sources of one topic. Made by :meth:`.topic_router.TopicRouter.listener`.

    Args:
        topic: its name, for people.
        decode: makes a value of a payload.
        handle: decides what becomes of one that cannot be decoded; what it raises ends the sources' subscribers.
        source: makes a source, by its name for people.

    Attributes:
        values: every value.
    """

    def __init__(
        self,
        topic: str,
        decode: Callable[[bytes], Any],
        handle: Callable[[Message, Exception], None],
        source: Callable[[str], RoutedSource[Any]],
    ) -> None:
        self._topic = topic
        self._decode = decode
        self._handle = handle
        self._source = source
        self.values = source(f"topic {topic}")
        self._received: RoutedSource[Any] | None = None

    @property
    def received(self) -> RoutedSource[Any]:
        """The same, each with its message."""
        received = self._received
        if received is None:  # whoever makes it at the same time, a signal handler too, gets the same one
            made = self._source(f"received of topic {self._topic}")
            received = self._received = self.__dict__.setdefault("_first_received", made)
        return received

    @property
    def observed(self) -> bool:
        """Whether anybody is subscribed."""
        return any(source.observed for source in self._sources)

    def hearing(self) -> Hearing:
        """What a message comes to, as long as nobody comes or goes."""
        received = self._received
        return Hearing(self._decode, self.values.subscribers, received.subscribers if received else (), self)

    def refuse(self, message: Message, error: BaseException) -> None:
        """A payload could not be decoded."""
        if not isinstance(error, Exception):  # sys.exit() in a codec costs other topics nothing
            detach(self._end_subscribers, error)
            return
        try:
            self._handle(message, error)
        except Exception as raised:
            self._end_subscribers(raised)
        except BaseException as raised:
            detach(self._end_subscribers, raised)

    def detach(self, subscriber: Subscriber[Any], error: BaseException) -> None:
        """A subscriber raised."""
        source = next((source for source in self._sources if subscriber in source.subscribers), self.values)
        source.detach(subscriber, error)

    def stop(self) -> None:
        """Deliver nothing more; from any thread."""
        for source in self._sources:
            source.stop()

    def end(self, error: Exception | None = None) -> None:
        """Complete, or err, for good."""
        tell_all([partial(source.end, error) for source in self._sources])

    def _end_subscribers(self, error: Exception) -> None:
        tell_all([partial(source.end_subscribers, error) for source in self._sources])

    @property
    def _sources(self) -> tuple[RoutedSource[Any], ...]:
        return (self.values,) if self._received is None else (self.values, self._received)
