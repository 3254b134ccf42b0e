"""Payloads from values, and values from payloads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec
from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase

from ..errors import DecodeFailed, InvalidOption
from ..message import Message
from ..validation.arguments import check_callable, check_observable, shown
from ..validation.stream import Stream

_T = TypeVar("_T")

Format = Literal["json", "msgpack"]

OnDecodeError = Literal["log", "skip", "raise"] | Callable[[DecodeFailed], None]
"""What becomes of a datagram that cannot be decoded."""

_log = logging.getLogger("rx_multicast_ipc")


def decode(
    type: type[_T] | Callable[[bytes], _T], *, format: Format = "json", on_error: OnDecodeError = "log"
) -> Callable[[Observable[Message]], Observable[_T]]:
    """Each message's payload as a typed value. One bad datagram does not end the stream.

    Args:
        type: what to decode to and validate against: a class or type that msgspec knows (Struct,
            dataclass, TypedDict, ``list[int]``, ...), or any other callable that takes the bytes.
        format: ``"json"`` or ``"msgpack"``; a callable needs none.
        on_error: ``"log"`` a warning and go on, ``"skip"`` silently, ``"raise"`` to end the stream, or a
            callable that takes the ``DecodeFailed``; what it raises ends the stream.

    Raises:
        InvalidOption: at once, for what is no type that msgspec knows and no function of bytes.
        DecodeFailed: from the Observable, with ``"raise"``.
    """
    decoder = _decoder(type, format)
    handle = _decode_error_handler(on_error)

    def operator(source: Observable[Message]) -> Observable[_T]:
        check_observable("decode() is applied to", source, "channel.messages.pipe(decode(Reading))")

        def subscribe(observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
            def on_next(message: Message) -> None:
                try:
                    value = decoder(message.data)
                except Exception as error:
                    failure = DecodeFailed(message, error)
                    failure.__cause__ = error
                    try:
                        handle(failure)
                    except Exception as raised:
                        observer.on_error(raised)
                else:
                    observer.on_next(value)

            return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Stream(subscribe)

    return operator


def encode(
    encoder: Callable[[Any], bytes] | None = None, *, format: Format = "json"
) -> Callable[[Observable[Any]], Observable[bytes]]:
    """Each value as a payload: the counterpart of :func:`decode`. What cannot be encoded ends the stream.

    Args:
        encoder: takes a value and returns bytes; None for msgspec's encoder of ``format``.
        format: ``"json"`` or ``"msgpack"``.

    Raises:
        InvalidOption: at once, for an encoder that is no function of a value.
    """
    encode_value = _codec(format).encode
    if encoder is not None:
        encode_value = check_callable(
            "encoder", encoder, ("a value",), "values.pipe(encode()), which broadcast_all() takes; or encode(repr)"
        )

    def operator(source: Observable[Any]) -> Observable[bytes]:
        check_observable("encode() is applied to", source, "values.pipe(encode())")

        def subscribe(observer: ObserverBase[bytes], scheduler: SchedulerBase | None = None) -> DisposableBase:
            def on_next(value: Any) -> None:
                try:
                    payload = encode_value(value)
                except Exception as error:
                    observer.on_error(error)
                else:
                    observer.on_next(payload)

            return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Stream(subscribe)

    return operator


def _decoder(type_: Any, format: Format) -> Callable[[bytes], Any]:
    codec = _codec(format)
    known = isinstance(type_, type) or not callable(type_) or hasattr(type_, "__origin__")
    known = known or hasattr(type_, "__supertype__")  # NewType
    if not known:
        return check_callable("type", type_, ("bytes",), "decode(Reading), or decode(lambda data: ...)")
    try:
        return codec.Decoder(type_).decode
    except Exception as error:  # of msgspec, or of what it asks the type
        raise InvalidOption(
            f"type is a type that msgspec knows, such as a Struct or list[int], or a function of bytes, not "
            f"{shown(type_)}: {error}"
        ) from error


def _codec(format: Format) -> Any:
    if format == "json":
        return msgspec.json
    if format == "msgpack":
        return msgspec.msgpack
    raise InvalidOption(f'format is "json" or "msgpack", not {format!r}; pass a callable for any other')


def _decode_error_handler(on_error: OnDecodeError) -> Callable[[DecodeFailed], None]:
    if callable(on_error):
        return check_callable("on_error", on_error, ("a DecodeFailed",), 'on_error="skip", or on_error=print')
    if on_error not in ("log", "skip", "raise"):
        raise InvalidOption(f'on_error is "log", "skip", "raise" or a callable, not {on_error!r}')

    def handle(failure: DecodeFailed) -> None:
        if on_error == "raise":
            raise failure
        if on_error == "log":
            _log.warning("%s", failure)

    return handle
