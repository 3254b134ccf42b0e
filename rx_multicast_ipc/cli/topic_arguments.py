"""Arguments about topics."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from ..errors import InvalidTopic
from ..message import Message
from ..topics.topic_message import TopicMessage
from ..validation.topic_name import check_name, name_end, read_name
from ..validation.topic_pattern import PatternTree, check_pattern


class TopicPattern:
    """The datagrams of topics that match a pattern."""

    def __init__(self, pattern: str) -> None:
        self._tree: PatternTree[bool] = PatternTree()
        self._tree.add(check_pattern(pattern), True)

    def find(self, message: Message) -> TopicMessage | None:
        """``message`` with its topic, if that matches."""
        end = name_end(message.data)
        name = read_name(message.data[:end]) if end > 0 else None
        return TopicMessage(name, message) if name is not None and self._tree.find(name) else None


def pattern(text: str) -> str:
    """A pattern of topics' names."""
    return _checked(check_pattern, text)


def name(text: str) -> str:
    """A topic's name."""
    return _checked(check_name, text)


def _checked(check: Any, text: str) -> str:
    try:
        check(text)
    except InvalidTopic as error:
        raise ArgumentTypeError(str(error)) from None
    return text
