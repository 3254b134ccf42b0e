"""The queue between a source and whoever is slower: bounded in messages and in bytes."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any, Final, Generic, TypeVar, cast

from ..errors import BufferOverflow
from ..message import Message
from .overflow import Overflow

_T = TypeVar("_T")

QUEUE_BYTES: Final = 64 * 1024 * 1024
"""Bytes that a queue holds unless it is told otherwise."""

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


def weigh_all(items: Sequence[Any]) -> list[Weight]:
    """Each one's :func:`weigh`."""
    sizes = [len(item.data) for item in items if type(item) is Message]
    return list(zip(repeat(1), sizes, strict=False)) if len(sizes) == len(items) else list(map(weigh, items))


class _Here(threading.local):
    queue: BoundedQueue[Any] | None = None
    """The queue that is being subscribed on this thread."""


_here = _Here()


def count_losses_of(count: Callable[[int], None]) -> None:
    """Have ``count`` told how many messages the queue loses that is being subscribed right now, if one is."""
    if _here.queue is not None:
        _here.queue.counts.append(count)


@contextmanager
def counted_elsewhere() -> Generator[None]:
    """What is subscribed to within the block counts none of the losses of the queue that is being subscribed."""
    outer, _here.queue = _here.queue, None
    try:
        yield
    finally:
        _here.queue = outer


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
        "_weight",
        "_weights",
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
        self._weights: deque[Weight] = deque()
        self._messages = 0
        self._bytes = 0
        self._discarded = 0
        self.counts: list[Callable[[int], None]] = []
        """Told of each loss: how many messages."""

    @contextmanager
    def counted_by_source(self) -> Generator[None]:
        """What is subscribed to within the block also counts what this queue loses from then on.

        So that losses behind operators are in the statistics of the channel that the messages came from.
        """
        outer, _here.queue = _here.queue, self
        try:
            yield
        finally:
            _here.queue = outer

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
            most, most_bytes = self.capacity - messages, self._capacity_bytes - size
            if self._messages <= most and self._bytes <= most_bytes:
                self._append(item, messages, size)
                return ()
            lost: list[_T] = []
            before = self._discarded
            if self.overflow is Overflow.DROP_OLDEST:
                while self._items and (self._messages > most or self._bytes > most_bytes):
                    queued = self._messages
                    lost.append(self.take())
                    self._discarded += queued - self._messages
                self._append(item, messages, size)
            elif self._items:
                lost.append(item)
                self._discarded += messages
            else:
                self._append(item, messages, size)
            gone = self._discarded - before
        for count in self.counts:
            count(gone)
        return lost

    def put_all(self, items: Sequence[_T]) -> Sequence[_T]:
        """Queue ``items``, one after the other, and return what was lost for them; with ``ERROR``, until one is.

        This and :meth:`take_some` are for queues that weigh.
        """
        weights = weigh_all(items) if self._weight is weigh else list(map(self._weight or weigh, items))
        messages, size = sum([count for count, _ in weights]), sum([size for _, size in weights])
        with self._lock:
            if self._messages + messages <= self.capacity and self._bytes + size <= self._capacity_bytes:
                self._items.extend(items)
                self._weights.extend(weights)
                self._messages += messages
                self._bytes += size
                return ()
            lost: list[_T] = []
            for item in items:
                lost += self.put(item)
                if lost and self.overflow is Overflow.ERROR:
                    break
            return lost

    def take_some(self, most: int) -> list[_T]:
        """The oldest items, so many at most; none if there are none."""
        with self._lock:
            taken = range(min(most, len(self._items)))
            take, take_weight = self._items.popleft, self._weights.popleft
            some = [take() for _ in taken]
            weights = [take_weight() for _ in taken]
            self._messages -= sum([count for count, _ in weights])
            self._bytes -= sum([size for _, size in weights])
            return some

    def take(self) -> _T:
        """The oldest item; raises ``IndexError`` if there is none."""
        if self._weight is None:
            return self._items.popleft()
        with self._lock:
            item = self._items.popleft()
            messages, size = self._weights.popleft()
            self._messages -= messages
            self._bytes -= size
            return item

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
            is_full = self._messages >= self.capacity
            if is_full and (self._weights[0][0] > 1 or self.capacity < 1):
                return False
            if self._bytes + size > self._capacity_bytes:
                return False
            if is_full:
                self._items.popleft()
                self._bytes -= self._weights.popleft()[1]
                self._discarded += 1
                gone = 1
            else:
                self._messages += 1
            self._items.append(message)
            self._weights.append((1, size))
            self._bytes += size
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
            while self._messages > self.capacity - len(sizes) or self._bytes > self._capacity_bytes - size:
                self.take()
            gone -= self._messages
            self._items.extend(items[surplus:])
            self._weights.extend([(1, each) for each in sizes])
            self._messages += len(sizes)
            self._bytes += size
            self._discarded += gone
        if gone:
            for count in self.counts:
                count(gone)
        return True

    def clear(self) -> None:
        """Let go of everything, which does not count as lost."""
        with self._lock:
            self._items.clear()
            self._weights.clear()
            self._messages = self._bytes = 0

    def overflow_error(self) -> BufferOverflow:
        """What ``Overflow.ERROR`` ends a stream with."""
        if self._messages < self.capacity and self._bytes:
            return BufferOverflow(self._capacity_bytes, "bytes")
        return BufferOverflow(self.capacity)

    def _append(self, item: _T, messages: int, size: int) -> None:
        self._items.append(item)
        self._weights.append((messages, size))
        self._messages += messages
        self._bytes += size
