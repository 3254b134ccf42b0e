"""The queue between a source and whoever is slower: bounded in messages and in bytes."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import repeat, starmap
from typing import Any, Final, Generic, TypeVar, cast

from ..errors import BufferOverflow
from ..message import Message
from .loss_counting import Count, counted_by_sources
from .overflow import Overflow

_T = TypeVar("_T")

QUEUE_BYTES: Final = 64 * 1024 * 1024
"""Bytes that a queue holds unless it is told otherwise."""

_NOTHING: Final[Any] = object()

Weight = tuple[int, int]
"""Messages and bytes of one item."""


def weigh(item: Any) -> Weight:
    """A message counts its payload, a list of messages their sum, and anything else is one message of its own size."""
    if type(item) is Message:
        return 1, len(item.data)
    if type(item) is list and item and type(cast("list[Any]", item)[0]) is Message:
        messages = cast("list[Message]", item)
        return len(messages), sum([len(message.data) for message in messages])
    return 1, sys.getsizeof(cast("object", item), 0)


def bytes_of_messages(items: Sequence[Any]) -> int | None:
    """Of all payloads together; None if not every item is one message."""
    sizes = [len(item.data) for item in items if type(item) is Message]
    return sum(sizes) if len(sizes) == len(items) else None


class BoundedQueue(Generic[_T]):
    """First in, first out; filled and emptied by any threads, and by signal handlers.

    An item that is larger than the whole queue is held alone.

    Args:
        capacity: messages that it holds.
        overflow: what goes when there are more.
        capacity_bytes: bytes of payload that it holds.
        weight: tells messages and bytes of an item. None, with ``DROP_OLDEST`` on one thread: each item is one message,
            and so many of the largest fit into the bytes, so that counting is enough.
    """

    __slots__ = (
        "_bytes",
        "_capacity_bytes",
        "_discarded",
        "_items",
        "_lock",
        "_messages",
        "_runs",
        "_weight",
        "capacity",
        "counts",
        "overflow",
    )

    def __init__(
        self,
        capacity: int,
        overflow: Overflow = Overflow.DROP_OLDEST,
        *,
        capacity_bytes: int = QUEUE_BYTES,
        weight: Callable[[_T], Weight] | None = weigh,
    ) -> None:
        self.overflow = overflow
        self.capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._weight = weight
        self._lock = threading.RLock()  # a signal handler may put something in while its thread does
        self._items: deque[_T] = deque(maxlen=capacity if weight is None else None)
        self._runs: deque[Weight | list[int]] = deque()
        """What they weigh: a pair for one item; a list, of how many and their bytes, for messages that came together.

        Messages are weighed again when only some of those go, which costs less than to keep the weight of each.
        """
        self._messages = 0
        self._bytes = 0
        self._discarded = 0
        self.counts: list[Count] = []

    def counted_by_source(self) -> AbstractContextManager[None]:
        """What is subscribed to within the block also counts what this queue loses from then on."""
        return counted_by_sources(self.counts)

    @property
    def discarded(self) -> int:
        """Messages that were lost so far."""
        return self._discarded

    def __len__(self) -> int:
        """Items, each of which may be several messages."""
        return len(self._items)

    def __iter__(self) -> Iterator[_T]:
        return iter(tuple(self._items))

    def put(self, item: _T) -> Sequence[_T]:
        """Queue ``item``, and return what was lost for it, the oldest first."""
        if self._weight is None:
            oldest = [self._items[0]] if len(self._items) >= self.capacity else []
            self.extend((item,))
            return oldest
        messages, size = self._weight(item)
        with self._lock:
            if self._messages + messages <= self.capacity and self._bytes + size <= self._capacity_bytes:
                self._append(item, messages, size)
                return ()
            before = self._discarded
            lost = self._put_over(item, messages, size)
            gone = self._discarded - before
        for count in self.counts:
            count(gone)
        return lost

    def put_all(self, items: Sequence[_T]) -> Sequence[_T]:
        """Queue ``items``, one after the other, and return what was lost for them; with ``ERROR``, until one is.

        This and :meth:`take_some` are for queues that weigh.
        """
        size = bytes_of_messages(items) if self._weight is weigh else None
        with self._lock:
            if (
                size is not None
                and self._messages + len(items) <= self.capacity
                and self._bytes + size <= self._capacity_bytes
            ):
                self._append_messages(items, size)
                return ()
            before, lost = self._discarded, list[_T]()
            for item in items:
                lost += self._put_over(item, *self._weigh(item))
                if lost and self.overflow is Overflow.ERROR:
                    break
            gone = self._discarded - before
        for count in self.counts if gone else ():
            count(gone)
        return lost

    def _put_over(self, item: _T, messages: int, size: int) -> list[_T]:
        """Queue ``item`` where there may be no space, and return what was lost for it; with the lock held."""
        most, most_bytes = self.capacity - messages, self._capacity_bytes - size
        lost: list[_T] = []
        if self.overflow is Overflow.DROP_OLDEST:
            while self._items and (self._messages > most or self._bytes > most_bytes):
                queued = self._messages
                lost.append(self.take())
                self._discarded += queued - self._messages
        elif self._items and (self._messages > most or self._bytes > most_bytes):
            self._discarded += messages
            return [item]
        self._append(item, messages, size)
        return lost

    def take_some(self, most: int) -> list[_T]:
        """The oldest items, so many at most; none if there are none."""
        some: list[_T] = []
        self.move_some(most, some)
        return some

    def move_some(self, most: int, to: list[_T]) -> None:
        """Move the oldest items, so many at most, to the end of a list.

        A signal handler that raises meanwhile leaves each of them in one of both.
        """
        with self._lock:
            items = self._items
            count = min(most, len(items))
            moved = starmap(items.popleft, repeat((), count))  # moves in one call, so that no signal comes amid it
            if count == len(items):
                self._runs.clear()
                self._messages = self._bytes = 0
                to.extend(moved)
                return
            try:
                to.extend(moved)
                self._take_weights(to[-count:])
            except BaseException:
                self._weigh_anew()
                raise

    def _take_weights(self, taken: Sequence[_T]) -> None:
        """Of what was taken, the oldest first; with the lock held."""
        runs, left = self._runs, len(taken)
        while left and runs:
            run = runs[0]
            if isinstance(run, list) and run[0] > left:
                size = sum([self._weigh(item)[1] for item in taken[-left:]])
                run[0] -= left
                run[1] -= size
                self._messages -= left
                self._bytes -= size
                return
            runs.popleft()
            self._messages -= run[0]
            self._bytes -= run[1]
            left -= run[0] if isinstance(run, list) else 1
        if not runs:  # for a signal handler raised as they were put in
            self._weigh_anew()

    def take(self) -> _T:
        """The oldest item; raises ``IndexError`` if there is none.

        Where a signal handler raises meanwhile, it stays.
        """
        items = self._items
        if self._weight is None:
            (item,) = starmap(items.popleft, ((),))  # called so, no signal comes between the call and what it returns
            return item
        item: Any = _NOTHING
        try:
            with self._lock:
                item = items[0]
                del items[0]
                if not items:
                    self.clear()
                    return item
                try:
                    run = self._runs[0]
                except IndexError:
                    self._weigh_anew()
                    return item
                if isinstance(run, tuple) or run[0] == 1:
                    self._runs.popleft()
                    messages, size = run
                else:
                    messages, size = self._weight(item)
                    run[0] -= messages
                    run[1] -= size
                self._messages -= messages
                self._bytes -= size
                return item
        except BaseException:
            if item is not _NOTHING:
                self.put_back(item)
            raise

    def put_back(self, item: _T) -> None:
        """Make ``item``, which was taken, the oldest again."""
        with self._lock:
            self._items.appendleft(item)
            if self._weight is not None:
                self._weigh_anew()

    def extend(self, items: Sequence[_T]) -> None:
        """Queue ``items``, one after the other."""
        if self._weight is None:
            queued = self._items
            surplus = len(queued) + len(items) - self.capacity
            if surplus > 0:
                self._discarded += surplus
            queued.extend(items)  # lets the oldest go by itself
            return
        if self.overflow is Overflow.DROP_OLDEST and self._weight is weigh:
            done = self._put_message(items[0]) if len(items) == 1 else self._extend_at_once(items)
            if done:
                return
        for item in items:
            self.put(item)

    def _put_message(self, item: Any) -> bool:
        """Queue one message in place of the oldest one, in as few calls as can be; False where that is not enough."""
        if type(item) is not Message:
            return False
        message: Any = item
        size, gone = len(message.data), 0
        with self._lock:
            if self._bytes + size > self._capacity_bytes:
                return False
            if self._messages >= self.capacity:
                oldest = self._runs[0] if self._runs else None
                if oldest is None or (isinstance(oldest, tuple) and oldest[0] > 1):
                    return False
                self.take()
                self._discarded += 1
                gone = 1
            self._append(message, 1, size)
        if gone:
            for count in self.counts:
                count(gone)
        return True

    def _extend_at_once(self, items: Sequence[Any]) -> bool:
        """Queue messages together, at a part of the cost, and let the oldest go; False where that cannot be done."""
        if set(map(type, items)) != {Message}:
            return False
        surplus = max(0, len(items) - self.capacity)  # of them, which would only come to go
        sizes = [len(item.data) for item in items[surplus:]]
        size = sum(sizes)
        if size > self._capacity_bytes:
            return False
        with self._lock:
            gone = self._messages + surplus
            while (
                over := self._messages + len(sizes) - self.capacity
            ) > 0 or self._bytes > self._capacity_bytes - size:
                if not self._runs:
                    self._weigh_anew()
                    continue
                oldest = self._runs[0]
                self.take_some(max(1, min(oldest[0], over)) if isinstance(oldest, list) else 1)
            gone -= self._messages
            self._append_messages(items[surplus:], size)
            self._discarded += gone
        if gone:
            for count in self.counts:
                count(gone)
        return True

    def clear(self) -> None:
        """Let go of everything, which does not count as lost."""
        with self._lock:
            self._runs.clear()
            self._messages = self._bytes = 0
            self._items.clear()

    def overflow_error(self) -> BufferOverflow:
        """What ``Overflow.ERROR`` ends a stream with."""
        if self._messages < self.capacity and self._bytes:
            return BufferOverflow(self._capacity_bytes, "bytes")
        return BufferOverflow(self.capacity)

    def _weigh(self, item: _T) -> Weight:
        return (1, 0) if self._weight is None else self._weight(item)

    def _weigh_anew(self) -> None:
        """After a signal handler raised while something was put in or taken out; with the lock held."""
        self._runs = deque(map(self._weigh, self._items))
        self._messages = sum([messages for messages, _ in self._runs])
        self._bytes = sum([size for _, size in self._runs])

    def _append(self, item: _T, messages: int, size: int) -> None:
        self._items.append(item)
        self._runs.append((messages, size))
        self._messages += messages
        self._bytes += size

    def _append_messages(self, items: Sequence[_T], size: int) -> None:
        if items:
            self._items.extend(items)
            self._runs.append([len(items), size])
            self._messages += len(items)
            self._bytes += size
