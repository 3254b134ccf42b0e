"""Which topic each message goes by, and how many went there before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ...strangers.bounded_map import BoundedMap
from ...validation.topic_name import name_end, read_name

_MOST_TOPICS: Final = 4096
"""Topics whose messages are numbered; one that is forgotten begins anew."""


class SentTopic:
    """One topic.

    Attributes:
        place: where the engine has its messages sent: a subject or a key.
        last: the number within the topic of the last message; None before the first.
    """

    __slots__ = ("last", "place")

    def __init__(self, place: Any) -> None:
        self.place = place
        self.last: int | None = None


class Run(NamedTuple):
    """Messages that go one after the other to the same place.

    Attributes:
        start, stop: which, of all that are sent together.
        topic: theirs.
        others: what the running number of each exceeds its number within the topic by; None for the one message that
            begins the numbers of a topic, with its running number. So these never go back, also if a topic is
            forgotten, and what is sent twice is known by them.
    """

    start: int
    stop: int
    topic: SentTopic | None
    others: int | None = 0


class SentTopics:
    """The topics that one end sends to.

    Args:
        place_of: what stands for a topic at the engine, by the topic's name.
    """

    def __init__(self, place_of: Callable[[str], Any]) -> None:
        self._place_of = place_of
        self._topics: BoundedMap[bytes, SentTopic | None] = BoundedMap(_MOST_TOPICS)

    def runs(self, payloads: Sequence[bytes], number: int) -> Sequence[Run]:
        """How ``payloads`` divide, numbered from ``number`` on; nothing where none of them is of a topic."""
        if not [
            True for data in payloads if data and data[0] and 0 in data
        ]:  # a third of the cost of looking for names
            return ()
        ends = list(map(name_end, payloads))
        if max(ends) <= 0:
            return ()
        topics = [
            self._topics.use(payload[:end], self._make) if end > 0 else None
            for payload, end in zip(payloads, ends, strict=True)
        ]
        runs: list[Run] = []
        lasts: dict[SentTopic, int] = {}
        start = 0
        for stop in range(1, len(topics) + 1):
            topic = topics[start]
            if stop < len(topics) and topics[stop] is topic:
                continue
            if topic is None:
                runs.append(Run(start, stop, None))
            else:
                last = lasts.get(topic, topic.last)
                if last is None:
                    runs.append(Run(start, start + 1, topic, None))
                    last = number + start
                    start += 1
                if start < stop:
                    runs.append(Run(start, stop, topic, number + start - (last + 1)))
                lasts[topic] = last + stop - start
            start = stop
        return runs

    def _make(self, name: bytes) -> SentTopic | None:
        text = read_name(name)
        return None if text is None else SentTopic(self._place_of(text))


def note_sent(runs: Sequence[Run], number: int, sent: int) -> None:
    """So many of all that are numbered from ``number`` on went out, the first ones."""
    for run in runs:
        if run.topic is not None and run.start < sent:
            if run.others is None:
                run.topic.last = number + run.start
            else:
                run.topic.last = number + min(run.stop, sent) - 1 - run.others
