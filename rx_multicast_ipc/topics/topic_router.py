"""Brings each message to the topics that are listened to: one look-up a message, however many topics there are."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Final, NamedTuple, TypeVar

from reactivex.abc import DisposableBase
from reactivex.disposable import SingleAssignmentDisposable

from ..message import Message
from ..receiving.hot_source import HotSource
from .topic_message import TopicMessage
from .topic_name import PatternTree, name_end, read_name

_T = TypeVar("_T")

_MOST_ROUTES: Final = 8192
"""Names whose routes are remembered: strangers may make up any number of them."""


class _Route(NamedTuple):
    """Who listens to one name."""

    name: str
    topics: tuple[HotSource[Message], ...]
    patterns: tuple[HotSource[TopicMessage], ...]


class TopicRouter:
    """Listens to a channel's messages while somebody listens to one of its topics, with one subscription for all.

    Args:
        messages: the channel's.
        refusal: what new subscribers get instead of taking part; the channel's.
    """

    def __init__(self, messages: HotSource[Message], refusal: Callable[[], Exception | None]) -> None:
        self.messages = messages
        self._refusal = refusal
        self._lock = RLock()  # a signal handler may dispose while its thread subscribes
        self._topics: dict[_RoutedSource[Message], bytes] = {}
        self._patterns: dict[_RoutedSource[TopicMessage], tuple[str, ...]] = {}
        self._finder: _RouteFinder | None = None
        self._subscription: DisposableBase | None = None

    def topic(self, name: bytes) -> HotSource[Message]:
        """Hot: the datagrams of one topic."""
        return _RoutedSource(self, self._topics, name, f"topic {name.decode()}", self._refusal)

    def matching(self, pattern: str, levels: tuple[str, ...]) -> HotSource[TopicMessage]:
        """Hot: the datagrams of all topics that match."""
        return _RoutedSource(self, self._patterns, levels, f"topics {pattern}", self._refusal)

    def refresh(self, source: _RoutedSource[Any]) -> None:
        """Take up or let go of a source whose subscribers changed. It goes by what holds now, in any order."""
        with self._lock:
            known = source in source.place
            if source.observed == known:
                return
            if known:
                del source.place[source]
            else:
                source.place[source] = source.key
            self._finder = None
            self._listen_while_needed()

    def _listen_while_needed(self) -> None:
        needed = bool(self._topics or self._patterns)
        if needed and self._subscription is None:
            # In its place first: the channel may end while it is being subscribed to.
            self._subscription = subscription = SingleAssignmentDisposable()
            subscription.disposable = self.messages.subscribe(self._route, self._end, self._end)
        elif not needed and self._subscription is not None:
            self._subscription.dispose()
            self._subscription = None

    def _route(self, message: Message) -> None:
        end = name_end(message.data)
        if end <= 0:
            return
        finder = self._finder or self._new_finder()
        route = finder.route(message.data[:end])
        for topic in route.topics:
            topic.emit((message,))
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
            sources: list[HotSource[Any]] = [*self._topics, *self._patterns]
            self._topics.clear()
            self._patterns.clear()
            self._finder = None
            self._subscription = None
        for source in sources:
            source.end(error)


class _RouteFinder:
    """Where each name leads, as long as nobody comes or goes."""

    def __init__(
        self,
        topics: dict[_RoutedSource[Message], bytes],
        patterns: dict[_RoutedSource[TopicMessage], tuple[str, ...]],
    ) -> None:
        self._topics: dict[bytes, list[HotSource[Message]]] = {}
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


class _RoutedSource(HotSource[_T]):
    """A hot source that its router feeds while it has subscribers."""

    def __init__(
        self,
        router: TopicRouter,
        place: dict[_RoutedSource[_T], Any],
        key: Any,
        name: str,
        refusal: Callable[[], Exception | None],
    ) -> None:
        super().__init__(refusal, name)
        self.place = place
        self.key = key
        self._router = router

    def _add(self, subscriber: Any) -> DisposableBase:
        added = super()._add(subscriber)
        self._router.refresh(self)
        return added

    def _remove(self, subscriber: Any) -> None:
        super()._remove(subscriber)
        self._router.refresh(self)

    def _count_discarded(self, item: Any) -> None:
        self._router.messages._count_discarded(item)  # where the channel's statistics look
