"""Errors of subscribers that nobody else handles."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterable
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
    """Hand ``error`` to the hook, or log it with what the hook raised.

    Nothing that goes wrong here is let through, be it a logging handler that raises or an exception that another thread
    throws into this one: whoever reports has to go on.
    """
    with suppress(BaseException):
        try:
            _hook(error)
        except BaseException:
            try:
                _log.exception("the unhandled-error hook raised")
                _log_error(error)
            except BaseException:
                traceback.print_exception(error)


class DeliveringThread(threading.Thread):
    """The type of every thread that delivers messages."""

    process = 0

    def run(self) -> None:
        self.process = os.getpid()
        super().run()


def on_delivering_thread() -> bool:
    """Whether the caller is a subscriber on a delivering thread (and not in a process forked from it)."""
    thread = threading.current_thread()
    return isinstance(thread, DeliveringThread) and thread.process == os.getpid()


def tell_all(calls: Iterable[Callable[[], None]]) -> None:
    """Make each of these calls, whatever the others raise; the first exception is raised at the end."""
    first: BaseException | None = None
    for call in calls:
        try:
            call()
        except BaseException as error:
            first = first or error
    if first is not None:
        raise first


def detach(on_error: OnError, error: BaseException) -> None:
    """Report what a subscriber raised, and end its chain so that the operators in it let go of what they hold.

    Not even ``sys.exit()`` in one subscriber ends a delivering thread, which others share. Elsewhere (virtual time, an
    event loop) that and Ctrl-C are the caller's, and are raised again.
    """
    if isinstance(error, SystemExit | KeyboardInterrupt) and not on_delivering_thread():
        raise error
    report(error)
    with suppress(BaseException):  # a chain without on_error of its own raises what was just reported
        on_error(error if isinstance(error, Exception) else RuntimeError(f"a subscriber raised {error!r}"))
