"""Payloads from values, and values from payloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable

from ..message import Message, Received
from ..payload_codecs import Codec, Format, format_of
from ..subscribing.decode_errors import OnDecodeError, decode_error_handler, flush_log
from ..validation.arguments import check_callable, check_codec, check_flag, check_observable, no_message
from ..validation.stream import Stream

if TYPE_CHECKING:
    from typing_extensions import TypeForm  # what checkers bring with them; nothing is imported at run time

_T = TypeVar("_T")


@overload
def decode(
    type: TypeForm[_T],
    *,
    format: Format | Codec[Any] = "json",
    on_error: OnDecodeError = "log",
    with_message: Literal[False] = False,
) -> Callable[[Observable[Message]], Observable[_T]]: ...
@overload
def decode(
    type: TypeForm[_T],
    *,
    format: Format | Codec[Any] = "json",
    on_error: OnDecodeError = "log",
    with_message: Literal[True],
) -> Callable[[Observable[Message]], Observable[Received[_T]]]: ...
@overload
def decode(
    type: Callable[[bytes], _T], *, on_error: OnDecodeError = "log", with_message: Literal[False] = False
) -> Callable[[Observable[Message]], Observable[_T]]: ...
@overload
def decode(
    type: Callable[[bytes], _T], *, on_error: OnDecodeError = "log", with_message: Literal[True]
) -> Callable[[Observable[Message]], Observable[Received[_T]]]: ...
def decode(
    type: Any,
    *,
    format: Format | Codec[Any] = "json",
    on_error: OnDecodeError = "log",
    with_message: bool = False,
) -> Callable[[Observable[Message]], Observable[Any]]:
    """Each message's payload as a typed value. One bad datagram does not end the stream.

    Args:
        type: what to decode to and validate against: a class or type that msgspec knows (Struct,
            dataclass, TypedDict, ``list[int]``, ``Pose | Battery``, ...), or any other callable that takes the bytes.
        format: ``"json"``, ``"msgpack"`` or an object with ``encode`` and ``decode``; a callable needs none.
        on_error: ``"log"`` a warning and go on (one line a second at most for each type, which tells how many there
            were before it), ``"skip"`` silently, ``"raise"`` to end the stream, or a
            callable that takes the ``DecodeFailed``; what it raises ends the stream.
        with_message: whether to emit ``Received(value, message)``, which says who sent it and can be replied to,
            in place of the value alone.

    Raises:
        InvalidOption: at once, for what is no type that msgspec knows and no function of bytes.
        DecodeFailed: from the Observable, with ``"raise"``.
    """
    check_flag("with_message", with_message)
    decoder = _decoder(type, format)
    kind = f"cannot decode {_name_of(type)}"
    handle = decode_error_handler(on_error, kind)

    def operator(source: Observable[Message]) -> Observable[Any]:
        check_observable("decode() is applied to", source, "channel.messages.pipe(decode(Reading))")

        def subscribe(observer: ObserverBase[Any], scheduler: SchedulerBase | None = None) -> DisposableBase:
            def on_next(message: Message) -> None:
                try:
                    value = decoder(message.data)
                except Exception as error:
                    if not isinstance(message, Message):
                        observer.on_error(no_message("decode()", message))
                        return
                    try:
                        handle(message, error)
                    except Exception as raised:
                        observer.on_error(raised)
                else:
                    observer.on_next(Received(value, message) if with_message else value)

            subscription = source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)
            if on_error != "log":
                return subscription
            return CompositeDisposable(subscription, Disposable(lambda: flush_log(kind)))

        return Stream(subscribe)

    return operator


def encode(
    encoder: Callable[[Any], bytes] | None = None, *, format: Format | Codec[Any] = "json"
) -> Callable[[Observable[Any]], Observable[bytes]]:
    """Each value as a payload: the counterpart of :func:`decode`. What cannot be encoded ends the stream.

    Args:
        encoder: takes a value and returns bytes; None for msgspec's encoder of ``format``.
        format: ``"json"``, ``"msgpack"`` or an object with ``encode`` and ``decode``.

    Raises:
        InvalidOption: at once, for an encoder that is no function of a value.
    """
    check_codec(format)
    encode_value = format_of(Any, format).encode
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


def _decoder(type_: Any, format: Format | Codec[Any]) -> Callable[[bytes], Any]:
    check_codec(format)
    known = isinstance(type_, type) or not callable(type_) or hasattr(type_, "__origin__")
    known = known or hasattr(type_, "__supertype__")  # NewType
    if known:
        return format_of(type_, format).decode
    format_of(Any, format)  # a mistake in it is one all the same
    return check_callable("type", type_, ("bytes",), "decode(Reading), or decode(lambda data: ...)")


def _name_of(type_: Any) -> str:
    return getattr(type_, "__qualname__", None) or repr(type_)
