"""Values of one type as bytes, and back, with errors that say whose they are."""

from __future__ import annotations

import sys
from typing import Any, Final

from ..errors import InvalidOption, InvalidPayload
from ..payload_codecs import Codec, Format, PayloadFormat, format_of
from ..strangers.printable_text import printable, shown, text_of
from ..validation.arguments import check_codec
from ..validation.payload import as_payload

_ADVICE: Final = (
    "; make of it what msgspec knows, such as numbers, text and lists, "
    "or pass format= an object with encode() and decode()"
)


class ValueCodec:
    """Encodes and decodes the values of a topic, or of a latest value.

    Args:
        what: carries them, for people: ``"topic robot/pose"``.
        type: of the values.
        format: of their bytes; or one that is ready made.

    Attributes:
        decode: makes a value of bytes; raises for what is none.

    Raises:
        InvalidOption: no type, or no format.
    """

    def __init__(self, what: str, type: Any, format: Format | Codec[Any] | PayloadFormat) -> None:
        self._what = what
        self._class = _checked_class(what, type)
        self._advice = _ADVICE if isinstance(format, str) else ""
        if not isinstance(format, PayloadFormat):
            check_codec(format)
            format = format_of(type, format)
        self._encode, self.decode = format

    def encode(self, value: Any) -> bytes:
        """The bytes that stand for ``value``; raises ``InvalidPayload``."""
        if self._class is not None and not isinstance(value, self._class):
            raise InvalidPayload(f"{self._what} carries {_shown(self._class)}, not {shown(value)}")
        try:
            payload = self._encode(value)
            return payload if type(payload) is bytes else as_payload(payload, sys.maxsize)
        except Exception as error:
            raise InvalidPayload(
                f"{self._what} cannot carry {shown(value)}: {printable(text_of(error), limit=200)}{self._advice}"
            ) from error


def _checked_class(what: str, type_: Any) -> Any:
    """What values are instances of, where a class can tell."""
    if not isinstance(type_, type):
        if callable(type_) and not hasattr(type_, "__origin__") and not hasattr(type_, "__supertype__"):
            raise InvalidOption(
                f"{what} carries values of a type, such as a msgspec.Struct, which {shown(type_)} is not; "
                "for a format of your own pass format= an object with encode() and decode()"
            )
        return None
    try:
        isinstance(None, type_)
    except TypeError:  # a TypedDict, a Protocol, list[int]
        return None
    return (int, float) if type_ is float else type_


def _shown(class_: Any) -> str:
    return "float" if isinstance(class_, tuple) else class_.__name__
