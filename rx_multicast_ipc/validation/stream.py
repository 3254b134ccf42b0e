"""Observables that refuse to be looped over, and what is none although it has some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, TypeVar

from reactivex import Observable

from ..errors import NotIterable
from .not_copied import NotCopied

_ADVICE: Final = (
    "a stream cannot be looped over like a list: subscribe to it; or take a list of what comes in some seconds with "
    "rx_multicast_ipc.notebook.collect(stream, 5), or of all with run(stream.pipe(ops.to_list())) if it ends; on "
    "asyncio, use async for over to_async_iterable(stream)"
)

_ASYNC_ADVICE: Final = (
    "async for takes a channel's own streams as they are, and a pipeline by way of to_async_iterable: "
    "async for item in to_async_iterable(stream)"
)

_T_co = TypeVar("_T_co", covariant=True)


class Stream(Observable[_T_co]):
    """An Observable for which ``for``, ``list()``, ``in``, ``*`` and the like are errors.

    reactivex gives Observables ``stream[3:5]``, and Python takes what has that for a sequence: without this, a loop
    over a stream gets one Observable after the other, never ends and fills the memory. What is piped from a stream
    is one, too. A pipeline that begins with an Observable of others is not: whose it is, nobody can tell.
    """

    __reduce_ex__ = NotCopied.__reduce_ex__  # not by inheritance, or else ``pipe`` could not make one of an Observable

    def __contains__(self, _: object) -> NoReturn:
        raise NotIterable(_ADVICE)

    def __iter__(self) -> NoReturn:
        raise NotIterable(_ADVICE)

    if not TYPE_CHECKING:  # it has the types of every Observable's

        def __aiter__(self) -> NoReturn:
            raise NotIterable(_ASYNC_ADVICE)

        def pipe(self, *operators: Any) -> Any:
            made = super().pipe(*operators)
            if type(made) is Observable:  # made this moment by the last operator
                made.__class__ = Stream
            return made


class HasStreams:
    """What has streams and is none, and says so to who takes it for one.

    Attributes:
        _stream_meant: the stream that is meant then.
        _called_here: what other names of methods stand for, such as those of other libraries.
    """

    _stream_meant: ClassVar[str]
    _called_here: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # else every attribute would be there

        def __getattr__(self, name: str) -> NoReturn:
            meant = f".{self._stream_meant}.{name}" if hasattr(Observable, name) else ""
            meant = self._called_here.get(name, meant)
            hint = f"; did you mean {meant}?" if meant else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=self)
