"""Numbers of a stream over time, for a plot: of each series, what it was in every twentieth of a second."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, SupportsFloat, cast

import msgspec

from ..message import Address, Message, Received
from ..topics.topic_message import TopicMessage
from ..validation.topic_name import split_topic
from .sender_name import name_of

INTERVAL: Final = 0.05
"""Seconds that one bucket covers: less than a pixel of the plot."""

KEPT: Final = 1220
"""Buckets of a series: a minute, and a second before it."""

MOST_SERIES: Final = 24
"""Series that are told apart: strangers may make up any number of them."""

_LONGEST_NAME: Final = 80

Choose = Callable[[Any], Any]
"""Takes what was delivered, and returns what is to be plotted of it, or by what it is grouped."""


class Bucket(msgspec.Struct, array_like=True):
    """What a series was in one interval.

    Attributes:
        number: the interval's, counted from the Unix epoch in units of ``INTERVAL``.
        low, high, last: the least, the greatest and the latest value.
    """

    number: int
    low: float
    high: float
    last: float


class Values(msgspec.Struct, frozen=True):
    """What was plotted since the reading before.

    Attributes:
        series: name and buckets, those that changed.
        failed: items, since the beginning, of which no number could be made, because ``value`` raised.
        reason: what it raised last.
        left_out: values of series beyond ``MOST_SERIES``.
    """

    series: list[tuple[str, list[Bucket]]]
    failed: int = 0
    reason: str = ""
    left_out: int = 0


class PlottedValues:
    """Takes items in the order of their times, and keeps a bounded number of buckets. Used under its owner's lock.

    Args:
        value: what to plot of an item: a number, a mapping or record of numbers, each a series, or None for nothing. If
            None: items that are numbers themselves, or records of numbers; nothing of messages.
        by: what a series is named after. If None: an item's topic, or else its sender, where it has one.

    Attributes:
        names: what to call senders; by their addresses, where nothing.
    """

    def __init__(self, value: Choose | None = None, by: Choose | None = None) -> None:
        self._value = value
        self._by = by
        self.names: Mapping[Address, str] = {}
        self._series: dict[str, deque[Bucket]] = {}
        self._told = 0
        self._failed = 0
        self._reason = ""
        self._left_out = 0

    @property
    def takes_messages(self) -> bool:
        """Whether anything can come of a plain message."""
        return self._value is not None

    def add(self, item: Any, at: float) -> None:
        """Take what is to be plotted of ``item``, which came at so many seconds since the Unix epoch."""
        try:
            found = _value_of(item) if self._value is None else self._value(item)
            numbers = _numbers(found)
            if not numbers:
                return
            group = _group_of(item, self.names) if self._by is None else str(self._by(item))
        except Exception as error:  # of the caller's functions, which see what strangers sent; or of an odd value
            if self._value is None and self._by is None:
                return
            self._failed += 1
            self._reason = f"{type(error).__name__}: {error}"[:200]
            return
        for key, number in numbers:
            name = f"{group} {key}" if group and key else group or key or "value"
            self._put(name[:_LONGEST_NAME], number, at)

    def read(self, *, all_kept: bool = False) -> Values:
        """What changed since the last call, or all that is kept, which does not change the next reading."""
        since = 0 if all_kept else self._told
        changed = [
            (name, found)
            for name, buckets in self._series.items()
            if (found := [msgspec.structs.replace(bucket) for bucket in _since(buckets, since)])
        ]
        if not all_kept:
            self._told = max([self._told, *(buckets[-1].number for _, buckets in changed)])
        return Values(changed, self._failed, self._reason, self._left_out)

    def _put(self, name: str, number: float, at: float) -> None:
        now = int(at / INTERVAL)
        buckets = self._series.get(name)
        if buckets is None:
            if len(self._series) >= MOST_SERIES and not self._forget_one(now):
                self._left_out += 1
                return
            buckets = self._series[name] = deque(maxlen=KEPT)
        bucket = buckets[-1] if buckets else None
        if bucket is None or bucket.number < now:
            buckets.append(Bucket(now, number, number, number))
        elif bucket.number > now + KEPT:  # the clock was set back
            buckets.clear()
            self._told = min(self._told, now)
            buckets.append(Bucket(now, number, number, number))
        else:
            if number < bucket.low:
                bucket.low = number
            elif number > bucket.high:
                bucket.high = number
            bucket.last = number

    def _forget_one(self, now: int) -> bool:
        """Let go of a series of which nothing is in the plot any more."""
        old = next((name for name, buckets in self._series.items() if buckets[-1].number < now - KEPT), None)
        if old is not None:
            del self._series[old]
        return old is not None


def _since(buckets: deque[Bucket], number: int) -> list[Bucket]:
    """Those from ``number`` on: the last that was told may have changed."""
    found: list[Bucket] = []
    for bucket in reversed(buckets):
        if bucket.number < number:
            break
        found.append(bucket)
    return found[::-1]


def _value_of(item: Any) -> Any:
    return cast("Received[Any]", item).value if isinstance(item, Received) else item


def _numbers(found: Any) -> list[tuple[str, float]]:
    """The finite numbers in what is to be plotted, each with its key."""
    if isinstance(found, int | float):
        return [("", float(found))] if math.isfinite(found) else []
    if found is None or isinstance(found, str | bytes | Message | TopicMessage):
        return []
    record = _record(found)
    if record is not None:
        return [(str(key), float(number)) for key, number in record if _is_number(number) and math.isfinite(number)]
    return [("", number)] if isinstance(found, SupportsFloat) and math.isfinite(number := float(found)) else []


def _is_number(value: Any) -> bool:
    return type(value) is float or (isinstance(value, int | float) and not isinstance(value, bool))


def _record(found: Any) -> Iterable[tuple[Any, Any]] | None:
    """The fields of a record; None if it is none."""
    if isinstance(found, msgspec.Struct):
        return [(name, getattr(found, name)) for name in found.__struct_fields__]
    if isinstance(found, dict | Mapping):  # a dict is found sooner than by the abstract class
        return cast("Mapping[Any, Any]", found).items()
    if dataclasses.is_dataclass(found):
        return [(field.name, getattr(found, field.name)) for field in dataclasses.fields(found)]
    as_dict: Any = getattr(found, "_asdict", None)  # of a named tuple
    return as_dict().items() if isinstance(found, tuple) and as_dict is not None else None


def _group_of(item: Any, names: Mapping[Address, str]) -> str:
    if isinstance(item, TopicMessage):
        return item.topic
    message = item.message if isinstance(item, Received) else item
    if not isinstance(message, Message):
        return ""
    topic, _ = split_topic(message.data)
    return topic or name_of(message.sender, names)
