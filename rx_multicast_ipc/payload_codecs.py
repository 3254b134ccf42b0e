"""Values as payloads, and payloads as values: JSON, MessagePack, or a codec of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from .errors import InvalidOption
from .strangers.printable_text import printable, shown, text_of

_T = TypeVar("_T")

Format = Literal["json", "msgpack"]


class Codec(Protocol[_T]):
    """A format of the caller's: any object with these two methods."""

    def encode(self, value: _T, /) -> bytes:
        """The payload that stands for ``value``."""
        ...

    def decode(self, data: bytes, /) -> _T:
        """The value that ``data`` stands for; raises for what stands for none."""
        ...


class PayloadFormat(NamedTuple):
    """What turns the values of one type into payloads, and back."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def format_of(type_: Any, format: Format | Codec[Any]) -> PayloadFormat:
    """How ``type_`` looks in ``format``; a codec of the caller's decides that by itself. Raises ``InvalidOption``."""
    if not isinstance(format, str) and hasattr(format, "encode") and hasattr(format, "decode"):
        return PayloadFormat(format.encode, format.decode)
    module = format_module(format)
    try:
        if isinstance(type_, str | bytes) or type_ is ...:
            raise TypeError("that is a value")
        return PayloadFormat(module.encode, _decoder(type_, format))
    except Exception as error:  # of msgspec, or of what it asks the type
        raise InvalidOption(
            f"type is a type that msgspec knows, such as a Struct or list[int], not {shown(type_)}: "
            f"{printable(text_of(error), limit=200)}"
        ) from error


def _decoder(type_: Any, format: Any) -> Callable[[bytes], Any]:
    try:
        return _shared_decoder(type_, format)
    except TypeError:  # a type that cannot be hashed
        return format_module(format).Decoder(type_).decode


@lru_cache(64)
def _shared_decoder(type_: Any, format: Any) -> Callable[[bytes], Any]:
    """One for all who decode to a type: many topics have the same, and one that is in use is in the CPU's cache."""
    return format_module(format).Decoder(type_).decode


def format_module(format: Any) -> Any:
    """msgspec's module of that name; raises ``InvalidOption``."""
    if isinstance(format, str) and format == "json":
        return msgspec.json
    if isinstance(format, str) and format == "msgpack":
        return msgspec.msgpack
    raise InvalidOption(
        f'format is "json" or "msgpack", not {shown(format)}; for any other, pass an object with encode() and decode()'
    )
