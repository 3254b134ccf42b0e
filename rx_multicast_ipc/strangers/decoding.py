"""Bytes of strangers to values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar, cast

import msgspec

_T = TypeVar("_T")

_MOST_DIGITS: Final = 20


def decode_or_none(decode: Callable[[bytes], _T], data: bytes) -> _T | None:
    """What ``decode`` makes of ``data``; None whatever it raises.

    Decoders raise more than they document: msgspec raises ``UnicodeDecodeError`` for bad UTF-8 and ``RecursionError``
    for deep nesting, and neither is a ``MsgspecError``. Sizes and ranges belong in the type that is decoded to.
    """
    try:
        return decode(data)
    except Exception:
        return None


def json_object_or_none(data: bytes) -> dict[str, Any] | None:
    """The object of JSON that ``data`` is; None if it is none."""
    value = decode_or_none(msgspec.json.decode, data)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def whole_or_none(digits: str | bytes) -> int | None:
    """The number that ``digits`` of ASCII are, below 10 ** 19; None if they are none.

    ``isdigit`` alone is not enough: it takes ``"²"``, which ``int`` refuses, as it does more than 4 300 digits.
    """
    right = digits.isascii() and digits.isdigit() and len(digits) < _MOST_DIGITS
    return int(digits) if right else None


def text_or_none(data: bytes) -> str | None:
    """``data`` as UTF-8; None if it is not."""
    return decode_or_none(bytes.decode, data)


def leading_text_or_none(data: bytes, size: int) -> str | None:
    """The first ``size`` bytes as UTF-8, without a character that is cut in half there; None if they are not."""
    head = data[:size]
    try:
        return head.decode()
    except UnicodeDecodeError as error:
        cut_in_half = len(data) > size and error.end == size and error.start > size - 4
        return head[: error.start].decode() if cut_in_half else None


def indented_json_or_none(data: bytes) -> str | None:
    """JSON laid out over lines; None if ``data`` is not JSON, or is nested too deep to be read."""
    return decode_or_none(_indented, data)


def _indented(data: bytes) -> str:
    msgspec.json.decode(data)
    return msgspec.json.format(data, indent=2).decode()


def json_line_or_none(data: bytes, format: str) -> bytes | None:
    """The one value that ``data`` is, as one line of JSON; None if it is none, or is nested too deep to be read.

    JSON keeps its numbers as they are written. Of MessagePack, bytes become ``{"$bytes": hex}``, an extension
    ``{"$extension": code, "$bytes": hex}``, and keys that are no text become their JSON as text; numbers that JSON does
    not have (NaN, infinities) become null.

    Args:
        format: ``"json"`` or ``"msgpack"``.
    """
    return decode_or_none(_json_to_line if format == "json" else _msgpack_to_line, data)


def _json_to_line(data: bytes) -> bytes:
    msgspec.json.decode(data)
    return msgspec.json.format(data, indent=-1)


def _msgpack_to_line(data: bytes) -> bytes:
    return msgspec.json.encode(_plain(msgspec.msgpack.decode(data)))


def _plain(value: Any) -> Any:
    """A value of MessagePack as one that JSON has."""
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, msgspec.msgpack.Ext):
        return {"$extension": value.code, "$bytes": bytes(value.data).hex()}
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {key if isinstance(key, str) else _key(key): _plain(part) for key, part in items}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in cast("Iterable[Any]", value)]
    return value


def _key(key: object) -> str:
    return msgspec.json.encode(_plain(key)).decode()
