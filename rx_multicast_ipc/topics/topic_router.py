"""Brings each message to the topics that are listened to: one look-up a message, however many topics there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import RLock
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from reactivex.abc import DisposableBase, SchedulerBase
from reactivex.disposable import SingleAssignmentDisposable

from ..message import Message
from ..receiving.bounded_queue import counted_elsewhere
from ..receiving.hot_source import HotSource
from ..subscriber_errors import tell_all
from .topic_message import TopicMessage
from .topic_name import PatternTree, name_end, read_name

_T = TypeVar("_T")

_MOST_ROUTES: Final = 8192
"""Names whose routes are remembered: strangers may make up any number of them."""


class Listener(Protocol):
    """One who listens to one name."""

    @property
    def observed(self) -> bool:
        """Whether somebody listens."""
        ...

    def deliver(self, payload: bytes, message: Message) -> None:
        """Take what stands behind the name, and the whole message; on the delivering thread."""
        ...

    def stop(self) -> None:
        """Deliver nothing more; from any thread."""
        ...

    def end(self, error: Exception | None = None) -> None:
        """Complete, or err, for good."""
        ...


class TopicRouter:
    """Listens to a channel's messages while somebody listens to one of its topics, with one subscription for all.

    Args:
        messages: the channel's.
    """

    def __init__(self, messages: HotSource[Message]) -> None:
        self._messages = messages
        self._lock = RLock()  # a signal handler may dispose while its thread subscribes
        self._topics: dict[Listener, bytes] = {}
        self._patterns: dict[RoutedSource[TopicMessage], tuple[str, ...]] = {}
        self._finder: _RouteFinder | None = None
        self._subscription: DisposableBase | None = None
        self._stopped = False
        self._ended = False

    def source(self, listener: Listener, name: bytes, shown: str) -> RoutedSource[Any]:
        """Hot: one of those whose subscribers make ``listener`` listen to ``name``."""
        return self._source(shown, lambda: self._refresh(self._topics, listener, listener.observed, name))

    def matching(self, pattern: str, levels: tuple[str, ...]) -> HotSource[TopicMessage]:
        """Hot: the datagrams of all topics that match."""
        source: RoutedSource[TopicMessage] = self._source(
            f"topics {pattern}", lambda: self._refresh(self._patterns, source, source.observed, levels)
        )
        return source

    def stop(self) -> None:
        """Deliver nothing more than the call under way; from any thread. Who is subscribed is still told of the end."""
        with self._lock:
            self._stopped = True
            listeners: list[Listener | HotSource[TopicMessage]] = [*self._topics, *self._patterns]
        for listener in listeners:
            listener.stop()

    def _source(self, shown: str, changed: Callable[[], None]) -> RoutedSource[Any]:
        return RoutedSource(shown, changed, self._messages)

    def _refresh(self, place: dict[Any, Any], listener: Any, observed: bool, key: object) -> None:
        """Take up or let go of a listener whose subscribers changed. It goes by what holds now, in any order."""
        with self._lock:
            if self._ended or observed == (listener in place):
                return
            if self._stopped and not observed:
                return  # it is still to be told of the end
            if observed:
                place[listener] = key
            else:
                del place[listener]
            self._finder = None
            self._listen_while_needed()

    def _listen_while_needed(self) -> None:
        needed = bool(self._topics or self._patterns)
        if needed and self._subscription is None:
            # In its place first: the channel may end while it is being subscribed to.
            self._subscription = subscription = SingleAssignmentDisposable()
            with counted_elsewhere():  # by the topics
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
        route = finder.route(data[:end])
        for topic in route.topics:
            topic.deliver(data[end + 1 :], message)
        if route.patterns:
            found = TopicMessage(route.name, message)
            for pattern in route.patterns:
                pattern.emit((found,))

    def _new_finder(self) -> _RouteFinder:
        with self._lock:
            self._finder = finder = _RouteFinder(self._topics, self._patterns)
            return finder

    def _end(self, error: Exception | None = None) -> None:
        with self._lock:
            self._ended = True
            listeners: list[Listener | HotSource[TopicMessage]] = [*self._topics, *self._patterns]
            self._topics.clear()
            self._patterns.clear()
            self._finder = None
            self._subscription = None
        tell_all([partial(listener.end, error) for listener in listeners])


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
        added = super()._add(subscriber, observer, scheduler)
        self._changed()
        return added

    def _remove(self, subscriber: Any) -> None:
        super()._remove(subscriber)
        self._changed()

    def _count_discarded(self, messages: int) -> None:
        self._messages._count_discarded(messages)


class _Route(NamedTuple):
    """Who listens to one name."""

    name: str
    topics: tuple[Listener, ...]
    patterns: tuple[HotSource[TopicMessage], ...]


class _RouteFinder:
    """Where each name leads, as long as nobody comes or goes."""

    def __init__(
        self, topics: dict[Listener, bytes], patterns: dict[RoutedSource[TopicMessage], tuple[str, ...]]
    ) -> None:
        self._topics: dict[bytes, list[Listener]] = {}
        for topic, name in topics.items():
            self._topics.setdefault(name, []).append(topic)
        self._patterns: PatternTree[HotSource[TopicMessage]] = PatternTree()
        for source, levels in patterns.items():
            self._patterns.add(levels, source)
        self._routes: dict[bytes, _Route] = {}

    def route(self, name: bytes) -> _Route:
        route = self._routes.get(name)
        if route is None:
            text = read_name(name)
            patterns = () if text is None else tuple(self._patterns.find(text))
            route = _Route(text or "", tuple(self._topics.get(name, ())), patterns)
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[name] = route
        return route
