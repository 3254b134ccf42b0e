"""Ends that only send, kept for a moment: for sends without a channel, which would otherwise open one each."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from contextlib import suppress
from threading import RLock
from typing import Any, Final, TypeVar

from ..channel_options import complete
from ..errors import ChannelClosed, SendFailed
from ..group import Group
from ..transport import Hears, Transport, WouldBlock
from ..transport.opening import current, open_live

_T = TypeVar("_T")

_KEPT: Final = 5.0
"""Seconds from its opening for which one is kept: a route that moves meanwhile is followed after that."""

_UNUSED_BUFFER: Final = 4096
"""Bytes of receive buffer for an end that only sends."""

_lock = RLock()  # a signal handler may send while its thread does
_kept: dict[Group, Transport] = {}


def with_sender(group: Group, use: Callable[[Transport], _T]) -> _T:
    """What ``use`` returns of an end that only sends to ``group``.

    Raises:
        CannotOpen, InvalidInterface: there is none.
        SendFailed: it was refused, also by a new end; never ``WouldBlock``, for the end may be gone then.
    """
    opened_by = current()
    if opened_by is not open_live:  # in virtual time, where an end costs nothing, and waiting moves the clock
        transport = opened_by(group, complete({"receive_buffer": _UNUSED_BUFFER}), Hears.NOTHING)
        try:
            return _use(transport, use)
        finally:
            transport.close()
    while True:
        transport, is_new = _keep(group)
        try:
            return _use(transport, use)
        except ChannelClosed:  # its time was over this very moment
            _drop(group, transport)
        except SendFailed:  # its interface may be gone, and another one there
            _drop(group, transport)
            if is_new:
                raise


def _use(transport: Transport, use: Callable[[Transport], _T]) -> _T:
    try:
        return use(transport)
    except WouldBlock as error:
        raise SendFailed(str(error)) from error.__cause__


def _keep(group: Group) -> tuple[Transport, bool]:
    """The end for ``group``, and whether it was just opened."""
    with _lock:
        kept = _kept.get(group)
        if kept is not None and not kept.closed:
            return kept, False
        opened = open_live(group, complete({"receive_buffer": _UNUSED_BUFFER}), Hears.NOTHING)
        _kept[group] = opened
    with suppress(RuntimeError):  # no thread can be started: it is kept until the next one is dropped
        opened.scheduler.schedule_relative(_KEPT, lambda _scheduler, _state: _drop(group, opened))
    return opened, True


def _drop(group: Group, transport: Transport) -> None:
    with _lock:
        if _kept.get(group) is transport:
            del _kept[group]
    transport.close(wait=False)


def _close_all() -> None:
    for group, transport in list(_kept.items()):
        _drop(group, transport)


def _forget_all() -> None:
    """Leave the parent's ends alone in a forked child; the lock may have been held."""
    global _lock
    _lock = RLock()
    for kept in _kept.values():
        transport: Any = kept
        transport.forget()
    _kept.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
