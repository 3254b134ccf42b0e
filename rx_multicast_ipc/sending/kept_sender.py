"""Ends that only send, kept for a moment: for sends without a channel, which would otherwise open one each."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from contextlib import suppress
from threading import RLock
from typing import Any, Final, Literal, NamedTuple, TypeVar

from ..channel_options import complete
from ..errors import ChannelClosed, SendFailed
from ..group import Group
from ..option_values.key import Keys
from ..transport import Hears, OpenTransport, Transport, WouldBlock
from ..transport.opening import as_options_say, current, open_live
from ..transport.turns import Turns

_T = TypeVar("_T")

_KEPT: Final = 5.0
"""Seconds from its opening for which one is kept: a route that moves meanwhile is followed after that."""

_UNUSED_BUFFER: Final = 4096
"""Bytes of receive buffer for an end that only sends."""

_SEALED_BUFFER: Final = 1 << 16
"""The same for one that others ask to prove that it is there."""

_lock = RLock()  # a signal handler may send while its thread does
_turns = Turns()


class _Place(NamedTuple):
    group: Group
    keys: Keys | Literal[False]


_kept: dict[_Place, Transport] = {}


def with_sender(group: Group, keys: Keys | Literal[False], use: Callable[[Transport], _T]) -> _T:
    """What ``use`` returns of an end that only sends to ``group``, sealed if there are keys.

    Raises:
        CannotOpen, InvalidInterface, MissingExtra: there is none.
        SendFailed: it was refused, also by a new end; never ``WouldBlock``, for the end may be gone then.
    """
    opened_by = current()
    if opened_by is not open_live:  # in virtual time, where an end costs nothing, and waiting moves the clock
        transport = _open(opened_by, group, keys)
        try:
            return _use(transport, use)
        finally:
            transport.close()
    while True:
        transport, is_new = _keep(_Place(group, keys))
        try:
            return _use(transport, use)
        except ChannelClosed:  # its time was over this very moment
            _drop(_Place(group, keys), transport)
        except SendFailed:  # its interface may be gone, and another one there
            _drop(_Place(group, keys), transport)
            if is_new:
                raise


def _use(transport: Transport, use: Callable[[Transport], _T]) -> _T:
    try:
        return use(transport)
    except WouldBlock as error:
        raise SendFailed(str(error)) from error.__cause__


def _open(open_transport: OpenTransport, group: Group, keys: Keys | Literal[False]) -> Transport:
    options = complete({"receive_buffer": _SEALED_BUFFER if keys else _UNUSED_BUFFER, "key": keys})
    return as_options_say(open_transport, options)(group, options, Hears.NOTHING)


def _keep(place: _Place) -> tuple[Transport, bool]:
    """The end for ``place``, and whether it was just opened."""
    kept = _kept.get(place)
    if kept is not None and not kept.closed:
        return kept, False
    with _turns.of(place):  # one opens it, and the others wait for it: to connect to an engine may take seconds
        kept = _kept.get(place)
        if kept is not None and not kept.closed:
            return kept, False
        opened = _open(open_live, *place)
        try:
            _kept[place] = opened  # first, for its time may be over before anything else happens here
            with suppress(RuntimeError):  # no thread can be started: it is kept until the next one is dropped
                opened.scheduler.schedule_relative(_KEPT, lambda _scheduler, _state: _drop(place, opened))
        except OSError as error:  # no descriptor is left for what would close it in time
            from ..transport.udp.error_advice import cannot_open

            _drop(place, opened)
            raise cannot_open(place.group, error) from error
        except BaseException:
            _drop(place, opened)
            raise
    return opened, True


def _drop(place: _Place, transport: Transport) -> None:
    with _lock:
        if _kept.get(place) is transport:
            del _kept[place]
    transport.close(wait=False)


def _close_all() -> None:
    for place, transport in list(_kept.items()):
        _drop(place, transport)


def _forget_all() -> None:
    """Leave the parent's ends alone in a forked child; the lock may have been held."""
    global _lock, _turns
    _lock, _turns = RLock(), Turns()
    for kept in _kept.values():
        transport: Any = kept
        transport.forget()
    _kept.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
