"""Messages as a table of the data library that is installed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec
from reactivex import Observable
from reactivex import operators as ops

from ..blocking_run import run
from ..capture import read
from ..channel import Channel
from ..errors import InvalidOption, MissingExtra
from ..message import Address, Message, Received
from ..option_values.member import Member, names_by_sender
from ..payload_codecs import Codec, Format, format_of
from ..topics.topic_message import TopicMessage
from ..validation.arguments import shown

if TYPE_CHECKING:
    from typing_extensions import TypeForm  # what checkers bring with them; nothing is imported at run time

LIBRARIES: Final = ("pandas", "polars")

_EXAMPLE: Final = "to_frame(collect(channel, 5))"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger("rx_multicast_ipc")

MOST_FIELDS: Final = 1000
"""Columns that fields of values get: strangers may make up any number of names."""

Items = Iterable[Message | TopicMessage | Received[Any]]
"""What a table can be made of."""


class _Row(NamedTuple):
    """A message, its topic (or None), what of it is the payload, and what that stands for, once it is known."""

    message: Message
    topic: str | None
    payload: bytes
    value: Any


def to_frame(
    source: Items | str | os.PathLike[str],
    type: TypeForm[Any] | None = None,
    *,
    library: str | None = None,
    format: Format | Codec[Any] = "json",
    members: Channel | Iterable[Member] | None = None,
) -> Any:
    """A data frame with one row a message.

        to_frame(collect(channel, 5))             # time, sender, payload
        to_frame(collect(channel, 5), Reading)    # time, sender, and a column for each field of a Reading
        to_frame("today.pcap", Reading)           # of a capture file
        to_frame(collect(channel, 5), members=channel)    # with a column of members' names

    Without a type its columns are the fields of :class:`Message`, ``text`` and ``size`` (bytes); with one:
    ``received_at``, ``address``, ``port``, and the fields of its values, or ``value`` where these have none. Times are
    UTC. Topics have a column, and so have values that came with ``Received``. Of fields without number, as of ``dict``,
    the first 1 000 have one, and one log line tells how many have none.

    Args:
        source: messages, for example what :func:`collect` returned, of a channel or of its ``topics``; or
            ``Received`` values; or the name of a capture file, which is read as fast as it goes. Of a capture that
            holds topics: the list that ``operators.topics`` makes of ``capture.read``.
        type: what payloads stand for, as for ``operators.decode``. Those that stand for none are left out, and one log
            line tells how many.
        library: ``"pandas"`` or ``"polars"``; the first of them that is installed, if not given.
        format: of payloads: ``"json"``, ``"msgpack"`` or a codec.
        members: who is called by name in a column ``member``, None for others: the ``Member`` records of
            ``channel.members``, or a channel with ``presence=``, and those are meant who are there now.

    Returns:
        A ``pandas.DataFrame`` or ``polars.DataFrame``.

    Raises:
        InvalidOption: another library, no type, a stream, which has yet to come, items that are no messages, or members
            that are none.
        Unsupported, ChannelClosed: ``members`` is a channel without ``presence=``, or closed.
        CaptureFailed, CaptureCorrupt: the file cannot be read.
        MissingExtra: the library is not installed.
    """
    if isinstance(type, str):
        raise InvalidOption(f"type is what payloads stand for, not {shown(type)}; write library={shown(type)}")
    if library is not None and not (isinstance(library, str) and library in LIBRARIES):
        raise InvalidOption(f"library is one of {', '.join(LIBRARIES)}, not {shown(library)}")
    table = columns(source, type, format, members)
    chosen = next((name for name in (LIBRARIES if library is None else (library,)) if find_spec(name)), None)
    if chosen is None:
        raise MissingExtra("to_frame()", library or " or ".join(LIBRARIES))
    return import_module(chosen).DataFrame(table)


def columns(
    source: Items | str | os.PathLike[str],
    type: Any = None,
    format: Format | Codec[Any] = "json",
    members: Channel | Iterable[Member] | None = None,
) -> dict[str, list[Any]]:
    """The columns of that frame."""
    names = None if members is None else _names(members)
    decode = None if type is None else format_of(type, format).decode
    if isinstance(source, str | os.PathLike):
        source = run(read(source, speed=None).pipe(ops.to_list()))
    rows = _rows(source)
    if decode is not None:
        rows = _decoded(rows, decode)
    if decode is None and not any(isinstance(row.value, Received) for row in rows):
        return _of_messages(rows, names)
    return _of_values(rows, dict.fromkeys(_field_names(type)), names)


def _names(members: Any) -> Mapping[Address, str]:
    if isinstance(members, Channel):
        members = run(members.members.pipe(ops.first()))
    if isinstance(members, Iterable) and not isinstance(members, Observable):
        found = list(cast("Iterable[Any]", members))
        if all(isinstance(member, Member) for member in found):
            return names_by_sender(found)
    raise InvalidOption(
        f"members is a channel that was opened with presence=, or a list of Member records, not {_shown(members)}"
    )


def _rows(source: Any) -> list[_Row]:
    if isinstance(source, Observable | Channel):
        raise InvalidOption(
            f"to_frame() makes a table of messages that have come, not of {_shown(source)}: collect(channel, 5) takes "
            f"those of 5 seconds, and {_EXAMPLE} makes a table of them"
        )
    is_one = isinstance(source, Message | TopicMessage | Received | bytes)
    if is_one or not isinstance(source, Iterable):
        raise InvalidOption(
            f"to_frame() makes a table of a list of Message records, not of {shown(cast('object', source))}"
        )
    return [_row(item) for item in cast("Iterable[Any]", source)]


def _shown(source: Any) -> str:
    return shown(source)


def _row(item: Any) -> _Row:
    if isinstance(item, Message):
        return _Row(item, None, item.data, None)
    if isinstance(item, TopicMessage):
        return _Row(item.message, item.topic, item.payload, None)
    if isinstance(item, Received):
        received = cast("Received[Any]", item)
        return _Row(received.message, None, received.message.data, received)
    raise InvalidOption(
        f"to_frame() makes a table of Message records, not of {shown(item)}; of values alone, "
        "pandas.DataFrame(values) or polars.DataFrame(values) makes one"
    )


def _decoded(rows: list[_Row], decode: Callable[[bytes], Any]) -> list[_Row]:
    good: list[_Row] = []
    reason: Exception | None = None
    for row in rows:
        try:
            good.append(row._replace(value=decode(row.payload)))
        except Exception as error:
            reason = error
    if reason is not None:
        _log.warning("to_frame() left out %d of %d messages: %s", len(rows) - len(good), len(rows), reason)
    return good


def _of_messages(rows: list[_Row], members: Mapping[Address, str] | None) -> dict[str, list[Any]]:
    found = _time_and_topic(rows) | _members(rows, members)
    for name in Message.__struct_fields__:
        found.setdefault(name, [row.payload if name == "data" else getattr(row.message, name) for row in rows])
    return {
        **found,
        "size": [len(row.payload) for row in rows],
        "text": [row.payload.decode("utf-8", "replace") for row in rows],
    }


def _of_values(rows: list[_Row], names: dict[str, None], members: Mapping[Address, str] | None) -> dict[str, list[Any]]:
    """Time and sender, then a column a field; one that some values lack is None there."""
    table = {
        **_time_and_topic(rows),
        **_members(rows, members),
        "address": [row.message.address for row in rows],
        "port": [row.message.port for row in rows],
    }
    records = [_record(_value_of(row)) for row in rows]
    for record in records:
        names |= dict.fromkeys(record)
    if len(names) > MOST_FIELDS:
        left_out = len(names) - MOST_FIELDS
        _log.warning("to_frame() left out %d of %d fields; a type names those that are meant", left_out, len(names))
    for name in islice(names, MOST_FIELDS):
        column = name
        while column in table:
            column += "_"
        table[column] = [record.get(name) for record in records]
    return table


def _value_of(row: _Row) -> Any:
    value = row.value
    return cast("Received[Any]", value).value if isinstance(value, Received) else value


def _time_and_topic(rows: list[_Row]) -> dict[str, list[Any]]:
    times = [_time(row.message.received_at) for row in rows]
    topics = [row.topic for row in rows]
    return {"received_at": times} | ({"topic": topics} if any(topics) else {})


def _time(received_at: float) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=received_at)  # fromtimestamp() ends with the year 3000 on Windows
    except (ValueError, OverflowError) as error:
        raise InvalidOption(
            f"received_at is seconds since 1970, in a year up to 9999, not {shown(received_at)}"
        ) from error


def _members(rows: list[_Row], names: Mapping[Address, str] | None) -> dict[str, list[Any]]:
    return {} if names is None else {"member": [names.get(row.message.sender) for row in rows]}


def _field_names(type: Any) -> list[str]:
    """The fields that values of a type have, where it tells: a table of none has their columns, too."""
    try:
        return [field.name for field in msgspec.structs.fields(type)]
    except TypeError:
        return []


def _record(value: Any) -> dict[str, Any]:
    """The fields of a value, their own values as plain ones; ``value`` for what has none."""
    plain = msgspec.to_builtins(value, builtin_types=(datetime, bytes), enc_hook=lambda other: other)
    if isinstance(plain, Mapping):
        return {str(name): part for name, part in cast("Mapping[Any, Any]", plain).items()}
    as_dict: Any = getattr(value, "_asdict", None)
    return as_dict() if as_dict is not None else {"value": plain}
