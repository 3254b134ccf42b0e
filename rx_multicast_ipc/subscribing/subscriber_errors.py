"""Errors of subscribers that nobody else handles."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Any

from reactivex.typing import OnError

from ..validation.arguments import check_callable

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


class _Here(threading.local):
    """What the calling thread is doing.

    Attributes:
        delivering: whether it delivers messages without being a :class:`DeliveringThread`: in virtual time, as whoever
            moves the clock does meanwhile, or on an event loop.
        loop: the event loop that moves the clock, or reads the channel, if one does.
        reads: whether that loop reads the channel, so that it is the subscribers' own that delivers to them.
    """

    delivering = False
    loop: asyncio.AbstractEventLoop | None = None
    reads = False


HERE = _Here()


@contextmanager
def delivering_here() -> Generator[None]:
    """Within the block, this thread delivers: what blocks there, waits for itself."""
    before = HERE.delivering, HERE.loop
    HERE.delivering, HERE.loop = True, asyncio._get_running_loop()  # pyright: ignore[reportPrivateUsage]
    try:
        yield
    finally:
        HERE.delivering, HERE.loop = before


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


def is_for_the_caller(error: BaseException) -> bool:
    """Whether who called what raised it is to have it: Ctrl-C and ``sys.exit()``, but not on a delivering thread."""
    if _on_thread_of_its_own():
        return False
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and not HERE.delivering)


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

    Not even ``sys.exit()`` in one subscriber ends a delivering thread, which others share, nor who moves a virtual
    clock. On an event loop that is the caller's, as is Ctrl-C there and in virtual time, and raised again.
    """
    if is_for_the_caller(error):
        raise error
    report(error)
    with suppress(BaseException):  # a chain without on_error of its own raises what was just reported
        on_error(error if isinstance(error, Exception) else RuntimeError(f"a subscriber raised {error!r}"))
