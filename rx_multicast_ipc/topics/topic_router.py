"""Brings each message to the topics that are listened to: one look-up a message, however many topics there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import RLock
from typing import Any, Final, NamedTuple

from reactivex.abc import DisposableBase
from reactivex.disposable import SingleAssignmentDisposable

from ..errors import ChannelClosed
from ..message import Message, Received
from ..receiving.hot_source import HotSource, Subscriber
from ..receiving.loss_counting import counted_by_sources
from ..subscribing.subscriber_errors import tell_all
from ..validation.topic_name import name_end, read_name
from ..validation.topic_pattern import PatternTree
from .topic_listener import Hearing, RoutedSource, TopicListener
from .topic_message import TopicMessage

_MOST_ROUTES: Final = 8192
"""Names whose routes are remembered: strangers may make up any number of them."""


class TopicRouter:
    """Listens to a channel's messages while somebody listens to one of its topics, with one subscription for all.

    A message costs one look-up, and delivery reads what that finds: a few tuples, and the subscriptions. For where a
    thousand topics speak in turns, a message costs as much more as it has to read that the processor's cache lost.

    Args:
        messages: the channel's.
    """

    def __init__(self, messages: HotSource[Message]) -> None:
        self._messages = messages
        self._lock = RLock()  # a signal handler may dispose while its thread subscribes
        self._topics: dict[TopicListener, bytes] = {}
        self._patterns: dict[RoutedSource[TopicMessage], tuple[str, ...]] = {}
        self._finder: _RouteFinder | None = None
        self._subscription: DisposableBase | None = None
        self._stopped = False
        self._ended = False

    def listener(
        self,
        name: bytes,
        shown: str,
        decode: Callable[[bytes], Any],
        handle: Callable[[Message, Exception], None],
    ) -> TopicListener:
        """What listens to ``name`` while its sources have subscribers; for the rest see :class:`TopicListener`."""

        def source(text: str) -> RoutedSource[Any]:
            return self._source(text, lambda: self._refresh(self._topics, listener, name))

        listener = TopicListener(shown, decode, handle, source)
        return listener

    def matching(self, pattern: str, levels: tuple[str, ...]) -> HotSource[TopicMessage]:
        """Hot: the datagrams of all topics that match."""
        source: RoutedSource[TopicMessage] = self._source(
            f"topics {pattern}", lambda: self._refresh(self._patterns, source, levels)
        )
        return source

    def stop(self) -> None:
        """Deliver nothing more than the call under way; from any thread. Who is subscribed is still told of the end."""
        with self._lock:
            self._stopped = True
            listeners: list[TopicListener | HotSource[TopicMessage]] = [*self._topics, *self._patterns]
        for listener in listeners:
            listener.stop()

    def _source(self, shown: str, changed: Callable[[], None]) -> RoutedSource[Any]:
        return RoutedSource(shown, changed, self._messages)

    def _refresh(self, place: dict[Any, Any], listener: Any, key: object) -> None:
        """Take up or let go of a listener whose subscribers changed. It goes by what holds now, in any order."""
        with self._lock:
            observed: bool = listener.observed
            ended = self._ended
            if not ended and (observed or not self._stopped):  # else it was told of the end, or is still to be
                if observed:
                    place[listener] = key
                else:
                    place.pop(listener, None)
                self._finder = None
                self._listen_while_needed()
        if ended and observed:  # the channel ended since it let somebody subscribe
            listener.end(ChannelClosed())

    def _listen_while_needed(self) -> None:
        needed = bool(self._topics or self._patterns)
        if needed and self._subscription is None:
            # In its place first: the channel may end while it is being subscribed to.
            self._subscription = subscription = SingleAssignmentDisposable()
            with counted_by_sources(None):  # but by the topics
                subscription.disposable = self._messages.subscribe(self._route, self._end, self._end)
        elif not needed and self._subscription is not None:
            self._subscription.dispose()
            self._subscription = None

    def _route(self, message: Message) -> None:
        data = message.data
        end = name_end(data)
        if end <= 0:
            return
        finder = self._finder or self._new_finder()
        name = data[:end]
        shown, hearings, patterns = finder.routes.get(name) or finder.find(name)
        for decode, values, received, listener in hearings:
            try:
                value = decode(data[end + 1 :])
            except BaseException as error:
                listener.refuse(message, error)
                continue
            _tell(values, value, listener)
            if received:
                _tell(received, Received(value, message), listener)
        if patterns:
            found = TopicMessage(shown, message)
            for pattern in patterns:
                pattern.emit((found,))

    def _new_finder(self) -> _RouteFinder:
        with self._lock:
            self._finder = finder = _RouteFinder(self._topics, self._patterns)
            return finder

    def _end(self, error: Exception | None = None) -> None:
        with self._lock:
            self._ended = True
            listeners: list[TopicListener | HotSource[TopicMessage]] = [*self._topics, *self._patterns]
            self._topics.clear()
            self._patterns.clear()
            self._finder = None
            self._subscription = None
        tell_all([partial(listener.end, error) for listener in listeners])


def _tell(subscribers: tuple[Subscriber[Any], ...], item: Any, listener: TopicListener) -> None:
    for subscriber in subscribers:
        if not subscriber.stopped:
            try:
                subscriber.on_next(item)
            except BaseException as error:
                listener.detach(subscriber, error)


class _Route(NamedTuple):
    """Who listens to one name."""

    shown: str
    hearings: tuple[Hearing, ...]
    patterns: tuple[HotSource[TopicMessage], ...]


class _RouteFinder:
    """Where each name leads, as long as nobody comes or goes.

    Attributes:
        routes: those that were found before.
    """

    def __init__(
        self, topics: dict[TopicListener, bytes], patterns: dict[RoutedSource[TopicMessage], tuple[str, ...]]
    ) -> None:
        self.routes: dict[bytes, _Route] = {}
        self._topics: dict[bytes, list[TopicListener]] = {}
        for topic, name in topics.items():
            self._topics.setdefault(name, []).append(topic)
        self._patterns: PatternTree[HotSource[TopicMessage]] = PatternTree()
        for source, levels in patterns.items():
            self._patterns.add(levels, source)

    def find(self, name: bytes) -> _Route:
        text = read_name(name)
        patterns = () if text is None else tuple(self._patterns.find(text))
        route = _Route(text or "", tuple(topic.hearing() for topic in self._topics.get(name, ())), patterns)
        if len(self.routes) >= _MOST_ROUTES:
            self.routes.clear()
        self.routes[name] = route
        return route
