"""One promise, its name and its proof."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import TYPE_CHECKING, TypeVar
from unittest import SkipTest

if TYPE_CHECKING:
    from .transport_rig import Rig

_Error = TypeVar("_Error", bound=Exception)

_SHOWN = 200
"""Characters of a value that a failure shows."""


class BrokenPromise(AssertionError):
    """A transport did not do what every transport promises; the text says what was expected and what happened."""


class Rule:
    """One promise of every transport. Calling it with a fresh rig proves or disproves it, and closes the rig.

    Attributes:
        name: what it is called.
        promise: what a transport promises.
    """

    def __init__(self, check: Callable[[Rig], None]) -> None:
        self.name = check.__name__
        self.promise = cleandoc(check.__doc__ or "")
        self._check = check

    def __call__(self, rig: Rig) -> None:
        """Prove it.

        Raises:
            BrokenPromise: it does not hold.
            unittest.SkipTest: it cannot be checked on this transport; the text says why.
        """
        try:
            self._check(rig)
        except SkipTest:
            raise
        except Exception as error:
            broken = error if isinstance(error, BrokenPromise) else BrokenPromise(f"this was raised: {error!r}")
            broken.add_note(f"promise: {self.promise}")
            raise broken from error.__cause__ if broken is error else error
        finally:
            rig.close()

    def __repr__(self) -> str:
        return self.name


ALL_RULES: list[Rule] = []


def rule(check: Callable[[Rig], None]) -> Rule:
    """Make a rule of a function whose docstring is the promise, and enter it into the list."""
    made = Rule(check)
    ALL_RULES.append(made)
    return made


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
