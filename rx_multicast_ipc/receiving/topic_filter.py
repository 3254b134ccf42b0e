"""What a channel hears that was opened for some topics alone."""

from __future__ import annotations

from typing import Final

from ..message import Message
from ..validation.topic_name import name_end, read_name
from ..validation.topic_pattern import PatternTree, check_pattern

_MOST_NAMES: Final = 8192
"""Names that are remembered: strangers may make up any number of them."""


class TopicFilter:
    """Lets through what is published to topics that match, and what is sent to the channel alone.

    Args:
        pattern: as of :meth:`rx_multicast_ipc.Channel.topics`.
    """

    def __init__(self, pattern: str) -> None:
        self._tree: PatternTree[bool] = PatternTree()
        self._tree.add(check_pattern(pattern), True)
        self._known: dict[bytes, bool] = {}

    def __call__(self, batch: list[Message]) -> list[Message]:
        """What it lets through."""
        return [message for message in batch if message.direct or self._matches(message.data)]

    def _matches(self, data: bytes) -> bool:
        end = name_end(data)
        if end <= 0:
            return False
        name = data[:end]
        matches = self._known.get(name)
        if matches is None:
            text = read_name(name)
            matches = text is not None and bool(self._tree.find(text))
            if len(self._known) >= _MOST_NAMES:
                self._known.clear()
            self._known[name] = matches
        return matches
