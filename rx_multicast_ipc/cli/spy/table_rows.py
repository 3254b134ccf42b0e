"""What stands in the rows of the spy's two tables."""

from __future__ import annotations

from typing import Any, Final

from ...strangers.printable_text import printable_bytes
from ...validation.topic_name import split_topic
from ..output import clock
from .message_table import Column
from .traffic import PREVIEW, Heard, Sender

SENDER_COLUMNS: Final = (
    Column("sender", 21, whole=True),
    Column("messages", 10, right=True),
    Column("msg/s", 9, right=True, optional=True),
    Column("bytes", 9, right=True, optional=True),
    Column("bytes/s", 9, right=True, optional=True),
    Column("last", 6, right=True),
    Column("last payload"),
)
MESSAGE_COLUMNS: Final = (
    Column("#", 7, right=True, optional=True),
    Column("time", 15, optional=True),
    Column("sender", 21, whole=True),
    Column("topic", 16),
    Column("size", 6, right=True),
    Column("payload"),
)
TOPIC_COLUMN: Final = 3
"""Which is shown once there is a topic."""


def sender_row(sender: Sender, name: str, now: float) -> tuple[str, ...]:
    """The cells of :data:`SENDER_COLUMNS`; ``now`` is in seconds since the Unix epoch."""
    ago = max(0.0, now - sender.last_at)
    return (
        name,
        f"{sender.messages:,}",
        f"{sender.message_rate:,.1f}",
        bytes_text(sender.bytes),
        bytes_text(sender.byte_rate),
        f"{ago:.0f} s" if ago < 600 else f"{ago / 60:.0f} m",
        printable_bytes(sender.last),
    )


def sender_sort_key(sender: Sender, column: int) -> Any:
    """What senders are sorted by in one of :data:`SENDER_COLUMNS`."""
    return (
        sender.address,
        sender.messages,
        sender.message_rate,
        sender.bytes,
        sender.byte_rate,
        -sender.last_at,
        sender.last,
    )[column]


def message_row(heard: Heard, name: str) -> tuple[str, ...]:
    """The cells of :data:`MESSAGE_COLUMNS`."""
    message = heard.message
    topic, payload = split_topic(message.data)
    return (
        str(heard.number),
        clock(message.received_at),
        name,
        topic,
        str(len(message.data)),
        ("→ me  " if message.direct else "") + printable_bytes(payload[:PREVIEW]),
    )


def bytes_text(count: float) -> str:
    """Bytes, for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
