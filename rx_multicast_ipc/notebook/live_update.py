"""A reading as the one binary message that the front end gets: a head in JSON, then the payloads, end to end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, cast

import msgspec

from ..message import Address, Message, Received
from ..topics.topic_message import TopicMessage
from ..validation.topic_name import split_topic
from .live_meter import Item, Reading, Value, message_of
from .plotted_values import Values
from .sender_name import name_of

PAYLOAD_BUDGET: Final = 256 * 1024
"""Bytes of payload in one update; when there are more, each item shows its beginning."""

MOST_SENDERS: Final = 50
"""Senders that one update names, the busiest first; the others are told together."""

State = Literal["live", "completed", "failed", "stopped"]


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One item.

    Attributes:
        received_at: seconds since the Unix epoch, or since the start of a virtual clock.
        sender: who sent it; a plain value's type.
        size: bytes of payload; None for a plain value.
        shown: bytes of it that are in the update.
        whole: bytes that there are to show.
        direct: sent to the channel alone.
        topic: the topic's name; what is shown is the payload behind it then.
    """

    received_at: float
    sender: str
    size: int | None
    shown: int
    whole: int
    direct: bool
    topic: str = ""


class Head(msgspec.Struct, frozen=True):
    """Everything but the payloads.

    Attributes:
        state, error: whether more will come, and what ended it.
        at, total, bytes, estimated: of the reading.
        senders: name, items and bytes since the update before, of the busiest.
        others: items and bytes of the other senders.
        dropped: messages that the kernel dropped since the beginning; None where nobody tells.
        rows: the newest items; the last one is number ``total``.
        values: what is to be plotted.
    """

    state: State
    error: str
    at: float
    total: int
    bytes: int
    estimated: bool
    senders: list[tuple[str, int, int]]
    others: tuple[int, int]
    dropped: int | None
    rows: list[Row]
    values: Values = Values([])


def encode(
    reading: Reading,
    *,
    state: State = "live",
    error: str = "",
    dropped: int | None = None,
    names: Mapping[Address, str] | None = None,
) -> list[bytes]:
    """The head and the payloads; senders by ``names``, where they have one there."""
    found = [_topic_and_payload(item) for item in reading.last]
    payloads = [payload for _, payload in found]
    limit = fair_limit(map(len, payloads), PAYLOAD_BUDGET)
    rows = [
        _row(item, len(payload), min(len(payload), limit), topic, names)
        for item, (topic, payload) in zip(reading.last, found, strict=True)
    ]
    scale = reading.came / reading.looked_at if reading.looked_at else 1.0
    busiest = sorted(reading.senders.items(), key=lambda entry: -entry[1][0])
    head = Head(
        state,
        error,
        reading.at,
        reading.total,
        reading.total_bytes,
        reading.estimated,
        [(name_of(who, names), round(n * scale), round(size * scale)) for who, (n, size) in busiest[:MOST_SENDERS]],
        (
            round(sum(n for _, (n, _) in busiest[MOST_SENDERS:]) * scale),
            round(sum(size for _, (_, size) in busiest[MOST_SENDERS:]) * scale),
        ),
        dropped,
        rows,
        reading.values,
    )
    return [msgspec.json.encode(head), b"".join(payload[:limit] for payload in payloads)]


def _topic_and_payload(item: Item) -> tuple[str, bytes]:
    if isinstance(item, Message):
        return split_topic(item.data)
    value = item.value
    if isinstance(value, TopicMessage):
        return value.topic, value.payload
    if isinstance(value, Received):
        received = cast("Received[Any]", value)
        return split_topic(received.message.data)[0], payload_of(Value(received.value, item.received_at))
    return "", payload_of(item)


def payload_of(item: Item) -> bytes:
    """The bytes that show an item: a message's payload; a plain value as text, JSON where it can be."""
    if isinstance(item, Message):
        return item.data
    value = item.value
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    try:
        return msgspec.json.encode(value)
    except Exception:  # no JSON, and whatever a property of a stranger's class raises
        return _repr_of(value).encode("utf-8", "replace")


def fair_limit(sizes: Iterable[int], budget: int) -> int:
    """The longest that each may be so that all of them together are within ``budget``, short ones kept whole."""
    ordered = sorted(sizes)
    for position, size in enumerate(ordered):
        left = len(ordered) - position
        if size * left > budget:
            return budget // left
        budget -= size
    return ordered[-1] if ordered else 0


def _row(item: Item, whole: int, shown: int, topic: str, names: Mapping[Address, str] | None) -> Row:
    message = message_of(item.value) if isinstance(item, Value) else item
    if message is not None:
        sender = name_of(message.sender, names)
        return Row(item.received_at, sender, len(message.data), shown, whole, message.direct, topic)
    kind = type(item.value).__name__ if isinstance(item, Value) else ""
    return Row(item.received_at, kind, None, shown, whole, False)


def _repr_of(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
