"""Errors of subscribers that nobody else handles."""

from __future__ import annotations

import logging
import os
import sys
import threading
from asyncio import CancelledError
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from reactivex.typing import OnError

from .validation.arguments import check_callable

UnhandledErrorHook = Callable[[BaseException], None]

_log = logging.getLogger("rx_multicast_ipc")


def _log_error(error: BaseException) -> None:
    _log.error("a subscriber raised and was detached", exc_info=error)


def _fail_test_or_log(error: BaseException) -> None:
    plugin = _pytest_plugin()
    if plugin is None or not plugin.take(error):
        _log_error(error)


def _pytest_plugin() -> Any:
    """It is there while pytest runs, and only then."""
    return sys.modules.get("rx_multicast_ipc_pytest")


_hook: UnhandledErrorHook = _fail_test_or_log


def set_unhandled_error_hook(hook: UnhandledErrorHook | None) -> UnhandledErrorHook:
    """Say what becomes of an exception that a subscriber raises.

    The subscriber is detached in any case, and the others go on. The hook is called once for each,
    on the delivering thread.

    Args:
        hook: called with the exception; ``None`` restores the default, which logs it with its
            traceback to the logger ``rx_multicast_ipc``. Under pytest it fails the running test, unless
            the test itself called this.

    Returns:
        The hook that was set before.

    Raises:
        InvalidOption: it is no function of an exception.
    """
    global _hook
    if hook is not None:
        check_callable("hook", hook, ("an exception",), "set_unhandled_error_hook(errors.append)")
    previous, _hook = _hook, hook or _fail_test_or_log
    plugin = _pytest_plugin()
    if plugin is not None and hook is None:
        plugin.log_from_now_on()
    return previous


def report(error: BaseException) -> None:
    """Hand ``error`` to the hook; a hook that raises is logged, never let through."""
    try:
        _hook(error)
    except BaseException:
        _log.exception("the unhandled-error hook raised")
        _log_error(error)


class _Here(threading.local):
    """What the calling thread is doing.

    Attributes:
        delivering: whether it delivers messages in virtual time, as whoever moves the clock does meanwhile.
    """

    delivering = False


HERE = _Here()


class DeliveringThread(threading.Thread):
    """The type of every thread that delivers messages."""

    process = 0

    def run(self) -> None:
        self.process = os.getpid()
        super().run()


def on_delivering_thread() -> bool:
    """Whether the caller is a subscriber on a delivering thread (and not in a process forked from it)."""
    return HERE.delivering or _on_thread_of_its_own()


def _on_thread_of_its_own() -> bool:
    thread = threading.current_thread()
    return isinstance(thread, DeliveringThread) and thread.process == os.getpid()


def _ends_nobody_else(error: BaseException) -> bool:
    return _on_thread_of_its_own() or (HERE.delivering and isinstance(error, SystemExit | CancelledError))


def detach(on_error: OnError, error: BaseException) -> None:
    """Report what a subscriber raised, and end its chain so that the operators in it let go of what they hold.

    Not even ``sys.exit()`` or a cancellation in one subscriber ends a delivering thread, which others share, nor
    who moves a virtual clock. What else is no ``Exception``, such as Ctrl-C, is raised again in virtual time, for it is
    meant for who moves the clock; and so is all of this on an event loop.
    """
    if not isinstance(error, Exception) and not _ends_nobody_else(error):
        raise error
    report(error)
    with suppress(BaseException):  # a chain without on_error of its own raises what was just reported
        on_error(error if isinstance(error, Exception) else RuntimeError(f"a subscriber raised {error!r}"))
