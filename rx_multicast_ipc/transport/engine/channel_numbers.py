"""The numbers of a process's channels on engines, which stand for their ports."""

from __future__ import annotations

import os
import threading
from typing import Final
from weakref import WeakValueDictionary

from ...errors import CannotOpen
from .running_numbers import FIRST

_MOST: Final = 65_535

_lock = threading.RLock()
_owners: WeakValueDictionary[int, object] = WeakValueDictionary()
_next_numbers: dict[int, int] = {}
_last = 0


def take_number(owner: object) -> tuple[int, int]:
    """A number, of all that are free the one unused for longest, and the running number to go on with.

    ``owner`` has it until it is given back; or until nobody has ``owner`` any more, whose opening Ctrl-C ended.

    The running number goes on where the channel that had the number before ended, so that nobody takes messages for old
    ones.

    Raises:
        CannotOpen: none is free.
    """
    global _last
    with _lock:
        number = _last
        for _ in range(_MOST):
            number = number % _MOST + 1
            if number not in _owners:
                _owners[number] = owner
                _last = number
                return number, _next_numbers.get(number, FIRST)
    raise CannotOpen(f"this process has {_MOST} channels on engines already; close some")


def give_back(number: int, next_number: int) -> None:
    """The channel with ``number`` has closed, and its next message would have had ``next_number``."""
    with _lock:
        _owners.pop(number, None)
        _next_numbers[number] = next_number


def _forget_all() -> None:
    """Start afresh in a forked child: the channels are the parent's, and the lock may have been held."""
    global _lock
    _lock = threading.RLock()
    _owners.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
