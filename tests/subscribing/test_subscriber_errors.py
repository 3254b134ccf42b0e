from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
from collections.abc import Iterator

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.subscribing.subscriber_errors import UnhandledErrorHook, detach, report, tell_all

from ..helpers import PATIENCE, Seen, run


class Broken(logging.Handler):
    """A logging handler that raises, as one of a closed connection does."""

    def emit(self, record: logging.LogRecord) -> None:
        raise SystemExit("no logging today")


@pytest.fixture
def broken_logging() -> Iterator[None]:
    handler, logger = Broken(), logging.getLogger("rx_multicast_ipc")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


def leave(_: BaseException) -> None:
    raise SystemExit


@pytest.mark.usefixtures("broken_logging")
@pytest.mark.parametrize("hook", [None, leave], ids=["default hook", "hook that raises"])
def test_reporting_never_raises_and_the_error_is_printed_where_nothing_else_works(
    hook: UnhandledErrorHook | None, capsys: pytest.CaptureFixture[str]
) -> None:
    previous = ipc.set_unhandled_error_hook(hook)
    report(ZeroDivisionError("lost otherwise"))
    ipc.set_unhandled_error_hook(previous)
    assert "lost otherwise" in capsys.readouterr().err


@pytest.mark.usefixtures("broken_logging")
def test_a_channel_goes_on_without_logging(channel: ipc.Channel, capsys: pytest.CaptureFixture[str]) -> None:
    def bad(_: ipc.Message) -> None:
        raise ZeroDivisionError

    previous = ipc.set_unhandled_error_hook(None)
    channel.messages.subscribe(bad)
    seen = Seen(channel.messages)
    run(channel.broadcast("1"))
    run(channel.broadcast("2"))
    assert len(seen.wait_for_count(2)) == 2
    ipc.set_unhandled_error_hook(previous)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_an_exception_thrown_into_a_report_is_not_let_through() -> None:
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def hook(_: BaseException) -> None:
        began.set()
        while not go_on.wait(0.001):
            pass
        raise RuntimeError

    def work() -> None:
        report(ZeroDivisionError())
        ended.set()

    previous = ipc.set_unhandled_error_hook(hook)
    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(PATIENCE)
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt))
    thread.join(0.05)
    go_on.set()
    thread.join(PATIENCE)
    ipc.set_unhandled_error_hook(previous)
    assert ended.is_set()


@pytest.mark.parametrize("raised", [asyncio.CancelledError(), GeneratorExit(), ZeroDivisionError()])
def test_a_cancellation_is_an_error_of_its_subscriber_everywhere(
    raised: BaseException, unhandled: list[BaseException]
) -> None:
    told: list[Exception] = []
    detach(told.append, raised)
    assert (len(told), unhandled) == (1, [raised])
    unhandled.clear()


@pytest.mark.parametrize("raised", [SystemExit(), KeyboardInterrupt()])
def test_an_exit_off_the_delivering_threads_is_the_callers(raised: BaseException) -> None:
    with pytest.raises(type(raised)):
        detach(lambda _: None, raised)


def test_all_calls_are_made_and_the_first_exception_is_raised() -> None:
    made: list[int] = []

    def call(number: int) -> None:
        made.append(number)
        if number % 2:
            raise KeyError(number)

    with pytest.raises(KeyError, match="1"):
        tell_all([lambda number=number: call(number) for number in range(5)])
    assert made == list(range(5))
