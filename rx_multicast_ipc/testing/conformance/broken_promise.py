"""How a rule says that a promise was broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_Error = TypeVar("_Error", bound=Exception)

_SHOWN = 200
"""Characters of a value that a failure shows."""


class BrokenPromise(AssertionError):
    """A transport did not do what every transport promises; the text says what was expected and what happened."""


def expect(what: str, actual: object, expected: object) -> None:
    """Raise ``BrokenPromise`` unless both are equal."""
    if actual != expected:
        raise BrokenPromise(f"{what}: expected {_shown(expected)}, got {_shown(actual)}")


def raises(kind: type[_Error] | tuple[type[_Error], ...], action: Callable[[], object]) -> _Error:
    """The error of one of these kinds that ``action`` raises; ``BrokenPromise`` if it raises none."""
    try:
        action()
    except kind as error:
        return error
    except Exception as error:
        raise BrokenPromise(f"expected {_names(kind)}, got {error!r}") from error
    raise BrokenPromise(f"expected {_names(kind)}, but nothing was raised")


def _names(kind: type[_Error] | tuple[type[_Error], ...]) -> str:
    return " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
