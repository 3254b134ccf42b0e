"""Bytes of strangers to values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

_T = TypeVar("_T")


def decode_or_none(decode: Callable[[bytes], _T], data: bytes) -> _T | None:
    """What ``decode`` makes of ``data``; None whatever it raises.

    Decoders raise more than they document: msgspec raises ``UnicodeDecodeError`` for bad UTF-8 and ``RecursionError``
    for deep nesting, and neither is a ``MsgspecError``. Sizes and ranges belong in the type that is decoded to.
    """
    try:
        return decode(data)
    except Exception:
        return None


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
