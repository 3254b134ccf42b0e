"""Errors of subscribers that nobody else handles."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from reactivex.typing import OnError

UnhandledErrorHook = Callable[[BaseException], None]

_log = logging.getLogger("rx_multicast_ipc")


def _log_error(error: BaseException) -> None:
    _log.error("a subscriber raised and was detached", exc_info=error)


_hook: UnhandledErrorHook = _log_error


def set_unhandled_error_hook(hook: UnhandledErrorHook | None) -> UnhandledErrorHook:
    """Say what becomes of an exception that a subscriber raises.

    The subscriber is detached in any case, and the others go on. The hook is called once for each,
    on the delivering thread.

    Args:
        hook: called with the exception; ``None`` restores the default, which logs it with its
            traceback to the logger ``rx_multicast_ipc``.

    Returns:
        The hook that was set before.
    """
    global _hook
    previous, _hook = _hook, hook or _log_error
    return previous


def report(error: BaseException) -> None:
    """Hand ``error`` to the hook; a hook that raises is logged, never let through."""
    try:
        _hook(error)
    except Exception:
        _log.exception("the unhandled-error hook raised")
        _log_error(error)


def detach(on_error: OnError, error: Exception) -> None:
    """Report what a subscriber raised, and end its chain so that the operators in it let go of what they hold."""
    report(error)
    with suppress(Exception):  # a chain without on_error of its own raises what was just reported
        on_error(error)
