"""Checks of arguments that several calls share: each refuses a mistake at once, and says what to write instead."""

from __future__ import annotations

import asyncio
import enum
import inspect
import os
from collections.abc import Callable
from math import inf, isfinite
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Literal, TypeGuard, TypeVar, cast

from reactivex import Observable
from reactivex.abc import SchedulerBase

from ..errors import InvalidOption
from ..strangers.printable_text import shown

_LARGEST_BUFFER = 2**31 - 1
"""Bytes: setsockopt(2) takes a C int."""

_LONGEST_SPIN = 1.0
"""Seconds of a core for nothing."""

_NOT_AT_ONCE = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE | inspect.CO_GENERATOR
"""Flags of code that does nothing when it is called, but only when it is awaited or looped over."""

_SUBSCRIBE = "for example stream.subscribe(print)"

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Choice = TypeVar("_Choice", bound=enum.Enum)


def check_callable(name: str, value: _Function, takes: tuple[str, ...], advice: str) -> _Function:
    """``value``, if it is a plain function that can be called with so many arguments; raises ``InvalidOption``.

    A function whose signature cannot be known, as of some that are written in C, is taken.

    Args:
        name: the argument's, for people.
        value: what was given.
        takes: names of what it is called with.
        advice: what to write, after "for example" or the like.
    """
    if _surely_takes(value, len(takes)):
        return value
    called_with = " and ".join(takes) or "no argument"
    if not callable(value):
        raise InvalidOption(f"{name} is a function of {called_with}, not {shown(value)}{_hint(value)}; {advice}")
    if _is_async(value):
        raise InvalidOption(
            f"{name} is a plain function of {called_with}, and {_name(value)} is an async one, whose answer would come "
            "too late: decide without await; or pass it to operators.map_async in a pipe; or leave Rx, with async for "
            "over to_async_iterable(...), and await there"
        )
    if any(map(inspect.isgeneratorfunction, (value, value.__class__.__call__))):
        raise InvalidOption(
            f"{name} is a plain function of {called_with}, and {_name(value)} has a yield in it, so calling it does "
            "nothing: return the answer instead"
        )
    if not _takes(value, len(takes)):
        npm = (
            "; what the npm package gave besides is in the message: m.data, m.text, m.address, m.port"
            if takes == ("a message",)
            else ""
        )
        raise InvalidOption(
            f"{name} is called with {called_with}, which {_name(value)}{inspect.signature(value)} cannot be{npm}; "
            f"{advice}"
        )
    return value


def check_predicate(predicate: Callable[[Any], object]) -> None:
    """Raise ``InvalidOption`` unless it can choose messages."""
    number = isinstance(predicate, int | float)
    example = f"timeout={shown(predicate)} waits so many seconds" if number else 'lambda m: m.text == "pong"'
    check_callable("predicate", predicate, ("a message",), example)


def check_codec(format: object) -> None:
    """Raise ``InvalidOption`` for an object whose ``encode`` or ``decode`` cannot be called with a value, or bytes."""
    if isinstance(format, str):
        return
    for name, takes in (("encode", "a value"), ("decode", "bytes")):
        method: Any = getattr(format, name, None)
        if method is not None:
            check_callable(f"{name}() of format", method, (takes,), "pass an object, such as MyCodec(), not its class")


def check_observable(name: str, value: Observable[Any], advice: str) -> Any:
    """``value``, if it is an Observable; raises ``InvalidOption``.

    Args:
        name: what takes it, for people.
        value: what was given.
        advice: what to write instead.
    """
    if not isinstance(value, Observable):
        raise InvalidOption(f"{name} an Observable, not {shown(value)}{_hint(value)}; {advice}")
    return value


def no_message(name: str, given: Any) -> InvalidOption:
    """The error of what is applied to a stream of something else than messages.

    Args:
        name: what is applied.
        given: what came.
    """
    what, hint = shown(given), ""
    if hasattr(given, "topic") and hasattr(given, "payload"):
        hint = "; a TopicMessage has its own: ops.map(lambda found: found.decode(Reading))"
    elif isinstance(given, list):
        hint = "; channel.messages delivers one by one what channel.batches delivers as lists"
    return InvalidOption(f"{name} is applied to a stream of messages, and {what} is none{hint}")


def check_subscriber(on_next: Any, on_error: Any = None, on_completed: Any = None) -> None:
    """Raise ``InvalidOption`` unless each is None or a plain function that can be called with what it gets."""
    if on_next is not None and not _surely_takes(on_next, 1):
        check_callable("on_next", on_next, ("what is delivered",), _SUBSCRIBE)
    if on_error is not None and not _surely_takes(on_error, 1):
        check_callable("on_error", on_error, ("an error",), _SUBSCRIBE)
    if on_completed is not None and not _surely_takes(on_completed, 0):
        check_callable("on_completed", on_completed, (), _SUBSCRIBE)


def check_scheduler(scheduler: SchedulerBase | None) -> None:
    """Raise ``InvalidOption`` unless it is a scheduler, or None."""
    if scheduler is None or isinstance(scheduler, SchedulerBase):
        return
    is_loop = callable(getattr(scheduler, "call_soon_threadsafe", None))
    hint = ", an event loop: write AsyncIOScheduler(loop)" if is_loop else ""
    raise InvalidOption(
        f"scheduler is one of reactivex's, such as AsyncIOScheduler(loop), not {shown(scheduler)}{hint}"
    )


def check_choice(name: str, value: object, choices: type[_Choice]) -> _Choice:
    """``value`` as one of ``choices``, a member or its value; raises ``InvalidOption``, which lists them."""
    try:
        return choices(value)
    except ValueError:
        names = ", ".join(f"{choices.__name__}.{choice.name}" for choice in choices)
        raise InvalidOption(f"{name} is one of {names}, not {shown(value)}") from None


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number that can be counted with as a float: no bool, and no integer of hundreds of digits."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def is_path(text: str) -> bool:
    """Whether a file can have that name: it has no NUL in it, nor anything that the system's encoding lacks."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def check_timeout(timeout: float | None) -> float | None:
    """``timeout``, if it is None (for ever, as is infinity) or seconds; raises ``InvalidOption``."""
    if timeout is None:
        return None
    if not is_number(timeout) or not timeout >= 0:
        raise InvalidOption(f"timeout is a number of seconds, 0 or more, not {shown(timeout)}; None waits for ever")
    return None if timeout == inf else float(timeout)


def check_rate(rate: float | None) -> float | None:
    """``rate``, if it is None or messages a second; raises ``InvalidOption``."""
    if rate is not None and not (is_number(rate) and isfinite(rate) and rate > 0):
        raise InvalidOption(
            f"rate is a number of messages a second, more than 0, not {shown(rate)}; None does not pace"
        )
    return rate


def check_seconds(name: str, value: float) -> float:
    """``value``, if it is a finite time; raises ``InvalidOption``."""
    if not (is_number(value) and isfinite(value) and value >= 0):
        raise InvalidOption(f"{name} is a number of seconds, 0 or more, not {shown(value)}")
    return value


def check_count(name: str, value: int, unit: str, most: int | None = None) -> int:
    """``value``, if it is a whole number from 1 to ``most``; raises ``InvalidOption``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidOption(f"{name} is a number of {unit}, 1 or more, not {shown(value)}")
    if most is not None and value > most:
        raise InvalidOption(f"{name} is a number of {unit}, {most} at most, not {shown(value)}")
    return value


def check_receive_buffer(name: str, size: int) -> int:
    """``size``, if a system may be asked for a buffer of so many bytes; raises ``InvalidOption``."""
    return check_count(name, size, "bytes", _LARGEST_BUFFER)


def check_backlog(name: str, size: int) -> int:
    """``size``, if it is a number of messages; raises ``InvalidOption``."""
    return check_count(name, size, "messages")


def check_flag(name: str, value: bool) -> bool:
    """``value``, if it is True or False; raises ``InvalidOption``."""
    if not isinstance(value, bool):
        raise InvalidOption(f"{name} is True or False, not {shown(value)}")
    return value


def check_spin(name: str, seconds: float | str) -> float | Literal["auto"]:
    """``seconds``, if a thread may look for so long, or "auto"; raises ``InvalidOption``."""
    if isinstance(seconds, str) and seconds == "auto":
        return "auto"
    if not is_number(seconds) or not 0 <= seconds <= _LONGEST_SPIN:
        raise InvalidOption(
            f"{name} is how many seconds to look for messages before sleeping, 0 to {_LONGEST_SPIN:g}, such as 0.0002, "
            f'or "auto"; not {shown(seconds)}'
        )
    return float(seconds)


def check_send_from(name: str, value: str) -> str:
    """``value``, if it says from which port to send; raises ``InvalidOption``."""
    if not isinstance(value, str) or value not in ("own", "group"):
        raise InvalidOption(
            f'{name} is "own", a port of the channel\'s own, or "group", the group\'s port; not {shown(value)}'
        )
    return value


def check_read_on(name: str, value: object) -> Literal["thread"] | asyncio.AbstractEventLoop:
    """What reads a channel: ``"thread"``, or an event loop that runs; raises ``InvalidOption``."""
    if value == "thread":
        return "thread"
    loop = asyncio._get_running_loop() if value == "loop" else value  # pyright: ignore[reportPrivateUsage]
    if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_running():
        return loop
    if value == "loop" or isinstance(loop, asyncio.AbstractEventLoop):
        raise InvalidOption(
            f"{name} is an event loop that runs, and {'none does here' if loop is None else 'this one does not'}: "
            'open the channel in a coroutine, or leave read_on="loop" out'
        )
    raise InvalidOption(
        f'{name} is "thread", one of the channel\'s own, or "loop", the asyncio event loop that runs here; '
        f"not {shown(value)}"
    )


def _hint(value: Any) -> str:
    """What a wrong argument was perhaps meant to be."""
    if inspect.iscoroutine(value):
        value.close()  # it is told of here, and need not warn besides that nobody awaited it
        return ", a coroutine, which is awaited instead"
    if isinstance(value, Observable):
        return ", which is made once: a function makes a new one each time"
    if callable(value):
        return ", a function: call it" if not _is_async(value) else ", an async function, which is awaited instead"
    if isinstance(inspect.getattr_static(value, "messages", None), property):
        return ": did you mean its .messages?"
    return ""


def _is_async(value: Any) -> bool:
    """Whether calling it gives something to await or to loop over with ``async for``, not an answer."""
    return any(
        test(function)
        for function in (value, value.__class__.__call__)
        for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    )


def _surely_takes(value: object, count: int) -> bool:
    """Whether it is a plain function that takes so many arguments, told in a fraction of a microsecond."""
    kind = type(value)
    function: Any = value
    if kind is MethodType:
        function, count = function.__func__, count + 1
        kind = type(cast("object", function))
    if kind is not FunctionType:
        return kind is BuiltinFunctionType
    code = function.__code__
    most = code.co_argcount
    if code.co_flags & _NOT_AT_ONCE or code.co_kwonlyargcount or count > most:
        return False
    return count == most or count >= most - len(function.__defaults__ or ())


def _takes(value: Callable[..., Any], count: int) -> bool:
    """Whether it can be called with so many arguments, as far as that can be known."""
    if hasattr(value, "__signature__"):  # what a decorator says of it, which need not be so
        return True
    try:
        signature = inspect.signature(value, follow_wrapped=False)
    except (ValueError, TypeError):
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _name(value: Any) -> str:
    return getattr(value, "__name__", None) or shown(value)
