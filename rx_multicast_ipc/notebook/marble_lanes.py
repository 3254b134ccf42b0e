"""What was recorded, sorted into the lanes of a marble diagram."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..message import Message
from ..testing import Event
from .sender_name import name_of


class Marble(NamedTuple):
    """One item.

    Attributes:
        time: seconds since the beginning.
        text: what it was.
    """

    time: float
    text: str


class Lane(NamedTuple):
    """One sender, or one stream.

    Attributes:
        name: whose.
        marbles: in order of time.
        end: the completion or error; None if it was still going on.
    """

    name: str
    marbles: list[Marble]
    end: Event | None


def by_sender(events: Iterable[Event]) -> list[Lane]:
    """A lane for each sender of messages, in the order in which they were first heard; other values share one."""
    found: dict[str, list[Marble]] = {}
    end = None
    for event in events:
        if event.kind == "next":
            name = name_of(event.value.sender) if isinstance(event.value, Message) else ""
            found.setdefault(name, []).append(Marble(event.time, text_of(event.value)))
        else:
            end = event
    return [Lane(name, marbles, end) for name, marbles in (found or {"": []}).items()]


def by_name(name: str, events: Iterable[Event]) -> Lane:
    """One lane for a whole stream."""
    events = list(events)
    marbles = [Marble(event.time, text_of(event.value)) for event in events if event.kind == "next"]
    return Lane(name, marbles, next((event for event in events if event.kind != "next"), None))


def text_of(value: Any) -> str:
    """How an item is told: a message by its payload, in hexadecimal where that is no text."""
    if not isinstance(value, Message):
        return str(value)
    try:
        return value.data.decode()
    except UnicodeDecodeError:
        return value.data.hex(" ")
