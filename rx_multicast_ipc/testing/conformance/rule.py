"""One promise, its name and its proof."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from unittest import SkipTest

from .broken_promise import BrokenPromise
from .transport_rig import Rig


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
