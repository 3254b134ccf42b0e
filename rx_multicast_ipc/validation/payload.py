"""What can be sent, and the bytes that it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from ..errors import InvalidPayload, PayloadTooLarge
from ..message import Message

Payload = str | bytes | bytearray | memoryview
"""What can be sent: text (as UTF-8) or anything bytes-like."""

_FIELD_NAME: Final = re.compile(r":[^:]*:")
_POINTERS: Final = re.compile(r"[OPX&z]|Z(?![fdg])")
"""Objects and pointers among a buffer's formats (PEP 3118); ``Zd`` is a complex number, ``Z`` alone points to text."""

_WIDE_TEXT: Final = re.compile(r"[uw]")
_ONE_NUMBER: Final = re.compile(r"[@=<>!^]?(?:[bBhHiIlLqQnNefdg?]|Z[fdg])")


def as_payload(data: Payload, limit: int) -> bytes:
    """``data`` as the bytes of one datagram: a copy, so that a buffer is free to be reused.

    A buffer of several dimensions, or with gaps, is sent row by row without the gaps.

    Raises:
        InvalidPayload: neither ``str`` nor bytes-like, or text that UTF-8 cannot encode; or a buffer whose bytes mean
            nothing elsewhere, such as pointers.
        PayloadTooLarge: longer than ``limit`` bytes.
    """
    payload = data if type(data) is bytes else _to_bytes(data, limit)
    if len(payload) > limit:
        raise PayloadTooLarge(len(payload), limit)
    return payload


def is_series(value: Any) -> bool:
    """Whether it can be looped over for payloads, and is neither one payload itself nor a mapping."""
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping) or not isinstance(value, Iterable):
        return False
    try:
        view = memoryview(cast("bytes", value))
    except Exception:
        return True
    return view.ndim != 1 or view.format.lstrip("@=<>!") not in ("B", "b", "c")


def check_json(text: bytes) -> bytes:
    """``text``, if it is one value of JSON; raises ``InvalidPayload``."""
    _from_json(text)
    return text


def json_to_msgpack(text: bytes) -> bytes:
    """The value of JSON that ``text`` is, as MessagePack; raises ``InvalidPayload``."""
    value = _from_json(text)
    try:
        return msgspec.msgpack.encode(value)
    except Exception as error:  # such as an integer beyond 64 bits
        raise InvalidPayload(f"MessagePack cannot hold this JSON: {error}") from error


def _from_json(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except Exception as error:  # of the format, of UTF-8, or of nesting
        raise InvalidPayload(f"{text[:80]!r} is no JSON: {error}") from error


def _to_bytes(data: Payload, limit: int) -> bytes:
    if isinstance(data, str):
        try:
            return str.encode(data)  # not what a subclass makes of it
        except UnicodeEncodeError as error:
            raise InvalidPayload(f"text that UTF-8 cannot encode: {error}; send bytes instead") from error
    kind = type(data).__name__
    try:
        view = memoryview(data)
    except TypeError:
        raise InvalidPayload(f"a payload is str or bytes-like, not {kind}; {_advice(data)}") from None
    except Exception as error:  # released, closed, or of a type without a format, such as datetime64
        raise InvalidPayload(
            f"the buffer of this {kind} cannot be read: {error}; send a copy of its bytes that was taken in time, or "
            "encode its values, for example with msgspec.json.encode()"
        ) from error
    with view:
        _check_format(view, kind)
        if view.nbytes > limit:
            raise PayloadTooLarge(view.nbytes, limit)
        return view.tobytes()


def _check_format(view: memoryview, kind: str) -> None:
    """Raise ``InvalidPayload`` where the bytes mean nothing to who receives them, or not what was meant."""
    types = _FIELD_NAME.sub("", view.format)
    if _POINTERS.search(types) or _holds_pointers(type(view.obj)):
        raise InvalidPayload(
            f"the bytes of this {kind} are pointers, which mean nothing in another process; encode what they point to, "
            "for example with msgspec.json.encode(list(...))"
        )
    if _WIDE_TEXT.search(types):
        raise InvalidPayload(
            f"this {kind} holds text in the machine's own wide characters; send it as str, or memoryview(...).tobytes()"
        )
    is_time = getattr(getattr(view.obj, "dtype", None), "kind", "") in ("M", "m")  # of numpy, whose unit gets lost
    if is_time or (view.ndim == 0 and _ONE_NUMBER.fullmatch(types)):
        what = "a time" if is_time else "a number"
        raise InvalidPayload(
            f"this {kind} is {what}; encode it, for example with str(), or send its memory: memoryview(...).tobytes()"
        )


def _holds_pointers(kind: Any) -> bool:
    """Whether values of a type of ctypes have pointers in them; formats of unions and packed structures do not tell."""
    ctypes: Any = sys.modules.get("ctypes")
    return ctypes is not None and _points(kind, ctypes)


def _points(kind: Any, ctypes: Any) -> bool:
    if issubclass(kind, ctypes.Array):
        element: Any = kind._type_
        return _points(element, ctypes)
    if issubclass(kind, ctypes.Structure | ctypes.Union):
        return any(_points(field, ctypes) for field in _field_types(kind))
    if issubclass(kind, ctypes._SimpleCData):
        return str(kind._type_) in ("P", "z", "Z", "O")
    return issubclass(kind, ctypes._Pointer | ctypes._CFuncPtr)


def _field_types(kind: type) -> list[Any]:
    fields: list[Any] = []
    for base in kind.__mro__:
        fields.extend(getattr(base, "_fields_", ()))
    return [field[1] for field in fields]


def _advice(data: object) -> str:
    if isinstance(data, Message):
        return "send what it holds, message.data"
    if callable(data):
        return "call it, and send what it returns"
    return "encode it first, for example with str(), or msgspec.json.encode()"
