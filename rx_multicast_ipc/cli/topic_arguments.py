"""Arguments about topics, and how datagrams of topics are printed."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

import msgspec

from ..errors import InvalidTopic
from ..message import Message
from ..strangers.printable_text import printable_bytes
from ..topics.topic_message import TopicMessage
from ..topics.topic_name import PatternTree, check_name, check_pattern, name_end, read_name
from .output import Output, clock, host_port, message_record


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


def print_found(output: Output, found: list[TopicMessage]) -> None:
    """Messages of topics, each with its topic and its payload apart."""
    payloads = [(one.topic, msgspec.structs.replace(one.message, data=one.payload)) for one in found]
    if output.is_json:
        output.records(topic_record(topic, message) for topic, message in payloads)
    elif output.form == "raw":
        output.messages(message for _, message in payloads)
    else:
        output.lines(topic_line(topic, message) for topic, message in payloads)


def topic_record(topic: str, message: Message) -> dict[str, Any]:
    """As :func:`.output.message_record`, with the topic first."""
    return {"topic": topic, **message_record(message)}


def topic_line(topic: str, message: Message) -> str:
    """As :func:`.output.message_line`, with the topic."""
    by = f" by {message.interface}" if message.interface else ""
    to = " (direct)" if message.direct else ""
    sender = host_port(message.sender)
    return f"{clock(message.received_at)}  {sender}{by}{to}  {topic}  {printable_bytes(message.data)}"


def _checked(check: Any, text: str) -> str:
    try:
        check(text)
    except InvalidTopic as error:
        raise ArgumentTypeError(str(error)) from None
    return text
