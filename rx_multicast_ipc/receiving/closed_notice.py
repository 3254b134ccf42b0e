"""Tells everybody who waits for the end of something, whatever the others do."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from threading import RLock
from typing import TypeAlias

from reactivex.abc import DisposableBase
from reactivex.disposable import Disposable

from ..subscribing.subscriber_errors import detach, tell_all

Told: TypeAlias = Callable[[Exception], None]
"""Takes why it ended: ``ChannelClosed``, or a fault."""


class ClosedNotice:
    """Calls what was added, once, on the thread that tells; each in its own ``try``."""

    def __init__(self) -> None:
        self._lock = RLock()  # a signal handler may add something while its thread does
        self._waiting: dict[DisposableBase, Told] = {}
        self._make_error: Callable[[], Exception] | None = None

    def add(self, told: Told) -> DisposableBase:
        """Have ``told`` called at the end, or at once if that is past; disposing removes it."""

        def remove() -> None:
            self._waiting.pop(entry, None)

        entry = Disposable(remove)
        with self._lock:
            make_error = self._make_error
            if make_error is None:
                self._waiting[entry] = told
        if make_error is not None:
            told(make_error())
        return entry

    def tell(self, make_error: Callable[[], Exception]) -> None:
        """Tell everybody, with an error of his own each."""
        with self._lock:
            self._make_error = make_error
        tell_all([partial(self._tell_one, entry, make_error) for entry in tuple(self._waiting)])

    def _tell_one(self, entry: DisposableBase, make_error: Callable[[], Exception]) -> None:
        told = self._waiting.pop(entry, None)
        if told is not None:  # else removed meanwhile
            try:
                told(make_error())
            except BaseException as error:
                detach(_nobody, error)


def anew(error: Exception) -> Exception:
    """The same error once more: one that is raised again and again would grow by a traceback each time."""
    other = copy(error)
    other.__cause__ = error.__cause__
    return other


def _nobody(_: Exception) -> None:
    """Who raised was told already."""
