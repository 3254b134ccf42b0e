"""Messages as a table of the data library that is installed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from reactivex import Observable

from ..channel import Channel
from ..errors import InvalidOption, MissingExtra
from ..message import Message
from ..validation.arguments import shown

LIBRARIES: Final = ("pandas", "polars")


def to_frame(messages: Iterable[Message], library: str | None = None) -> Any:
    """A data frame with one row a message: its fields, ``text`` and ``size`` (bytes), ``received_at`` as UTC times.

    Args:
        messages: for example what :func:`collect` returned.
        library: ``"pandas"`` or ``"polars"``; the first of them that is installed, if not given.

    Returns:
        A ``pandas.DataFrame`` or ``polars.DataFrame``.

    Raises:
        InvalidOption: another library, a stream, which has yet to come, or items that are no messages.
        MissingExtra: it is not installed.
    """
    table = columns(messages)
    if library is not None and library not in LIBRARIES:
        raise InvalidOption(f"library is one of {', '.join(LIBRARIES)}, not {library!r}")
    chosen = next((name for name in (LIBRARIES if library is None else (library,)) if find_spec(name)), None)
    if chosen is None:
        raise MissingExtra("to_frame()", library or " or ".join(LIBRARIES))
    return import_module(chosen).DataFrame(table)


def columns(messages: Iterable[Message]) -> dict[str, list[Any]]:
    """The columns of that frame."""
    if isinstance(messages, Observable | Channel):
        raise InvalidOption(
            f"to_frame() makes a table of messages that have come, not of {shown(messages)}: collect(channel, 5) takes "
            "those of 5 seconds, and to_frame(collect(channel, 5)) makes a table of them"
        )
    if isinstance(messages, Message | str | bytes) or not isinstance(messages, Iterable):
        raise InvalidOption(f"to_frame() makes a table of a list of Message records, not of {shown(messages)}")
    records = list(messages)
    for record in records:
        if not isinstance(record, Message):
            raise InvalidOption(
                f"to_frame() makes a table of Message records, not of {record!r}; give values to the library itself"
            )
    found: dict[str, list[Any]] = {
        "received_at": [datetime.fromtimestamp(record.received_at, UTC) for record in records]
    }
    for name in Message.__struct_fields__:
        found.setdefault(name, [getattr(record, name) for record in records])
    return {
        **found,
        "size": [len(record.data) for record in records],
        "text": [record.text for record in records],
    }
