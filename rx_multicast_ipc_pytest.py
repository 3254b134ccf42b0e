"""pytest's plugin: the fixtures ``marbles``, ``virtual_network`` and ``on_virtual_network``, and tests that fail with
what their subscribers raise.

It stands beside the package, not in it: pytest imports it at every start, in every project that has the package
installed, and a module in the package would load the package's root each time.
``-p no:rx_multicast_ipc`` turns it off.

An exception in a subscriber, such as a failing ``assert``, is raised on the delivering thread and ends nothing but
that subscriber. So the package hands what no hook of the test's own takes (``set_unhandled_error_hook``) to
:func:`take`, and the test fails with it: when its function returned, or, for what came later, when its fixtures ended.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from rx_multicast_ipc.testing import Marbles, VirtualNetwork

_MARBLES = pytest.StashKey["Marbles"]()
_LATE = pytest.StashKey["_Watch"]()

_MOST: Final = 20
"""Errors of one test that are kept."""

_LIBRARIES: Final = ("rx_multicast_ipc", "reactivex", "threading")
"""What calls a subscriber, and is not shown where the subscriber raised."""


class _Watch:
    """Keeps what subscribers raise, until it is asked for.

    Args:
        takes: whether it keeps anything, or leaves it to be logged.
        of_a_test: or else of the session.
    """

    def __init__(self, takes: bool = True, *, of_a_test: bool = True) -> None:
        self.takes = takes
        self.of_a_test = of_a_test
        self._errors: list[BaseException] = []

    def add(self, error: BaseException) -> None:
        if len(self._errors) < _MOST and not any(error is one for one in self._errors):
            self._errors.append(error)

    @property
    def has_any(self) -> bool:
        return bool(self._errors)

    def errors(self) -> list[BaseException]:
        """What came since it was last asked."""
        errors, self._errors = self._errors, []
        return errors


_watching: list[_Watch] = []
"""Of the session, and on top of it of the test that runs; several sessions if a test runs pytest."""


def take(error: BaseException) -> bool:
    """Whether pytest reports what a subscriber raised; from any thread."""
    watch = _watching[-1] if _watching else None
    if watch is None or not watch.takes:
        return False
    watch.add(error)
    return True


def log_from_now_on() -> None:
    """Leave what subscribers raise to the log until the running test ends, for it chose so."""
    if _watching and _watching[-1].of_a_test:
        _watching[-1].takes = False


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "marbles(frame=1.0): how many seconds one character of the fixture marbles stands for."
    )
    config.addinivalue_line(
        "markers", "virtual_network(latency=0.0): what the fixture virtual_network is made with, as VirtualNetwork is."
    )
    config.addinivalue_line(
        "markers", "subscribers_may_raise: what rx_multicast_ipc's subscribers raise is logged and fails no test."
    )
    prints = not hasattr(config, "workerinput")  # a worker of xdist does not
    late = config.stash[_LATE] = _Watch(takes=prints, of_a_test=False)
    _watching.append(late)


def pytest_unconfigure(config: pytest.Config) -> None:
    late = config.stash.get(_LATE, None)
    if late in _watching:
        _watching.remove(late)


@pytest.fixture
def marbles(request: pytest.FixtureRequest) -> Generator[Marbles]:
    """Streams from text, and expectations, in virtual time; run and checked when the test's function returns.

    ``@pytest.mark.marbles(frame=0.1)``, on a test, a class or a module, makes one character 100 ms.
    """
    from rx_multicast_ipc.testing import Marbles

    made = Marbles(**_options(request, "marbles"))
    request.node.stash[_MARBLES] = made
    yield made
    made.dispose()
    del request.node.stash[_MARBLES]  # tests stay for the whole session; what they tested need not


@pytest.fixture
def virtual_network(request: pytest.FixtureRequest, marbles: Marbles) -> VirtualNetwork:
    """A network in the virtual time of the fixture ``marbles``.

    A test that does not move that time itself has it run when its function returns.
    ``@pytest.mark.virtual_network(latency=0.2)``, on a test, a class or a module, says what it is made with.
    """
    from rx_multicast_ipc.testing import VirtualNetwork

    return VirtualNetwork(marbles.scheduler, **_options(request, "virtual_network"))


@pytest.fixture
def on_virtual_network(virtual_network: VirtualNetwork) -> Generator[str]:
    """Puts the process on the fixture ``virtual_network`` while the test runs, as a host whose address it is.

    What calls ``messages``, ``broadcast``, ``open_channel``, ``with_socket`` and the others of the package directly is
    tested so without a change. See :meth:`rx_multicast_ipc.testing.VirtualNetwork.this_process`.
    """
    with virtual_network.this_process() as address:
        yield address


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    watch = _Watch(takes=item.get_closest_marker("subscribers_may_raise") is None)
    _watching.append(watch)
    try:
        return (yield)
    finally:
        _watching.remove(watch)
        for error in watch.errors():
            take(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    __tracebackhide__ = True
    return (yield from _failing_with_subscribers(item, "setup"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    __tracebackhide__ = True
    return (yield from _failing_with_subscribers(item, "call"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    __tracebackhide__ = True
    return (yield from _failing_with_subscribers(item, "teardown"))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.stash[_LATE].has_any and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    errors = config.stash[_LATE].errors()
    if errors:
        terminalreporter.section("rx_multicast_ipc: subscribers raised after their tests had ended", red=True)
        terminalreporter.write_line("close channels within the test, so that it is known whose they are")
        for error in errors:
            terminalreporter.write_line(_text(error))


def _failing_with_subscribers(item: pytest.Item, phase: str) -> Generator[None, Any, Any]:
    """Let a phase of a test go by, and fail it with what subscribers raised meanwhile."""
    __tracebackhide__ = True
    watch = _watching[-1]
    try:
        result = yield
        made = item.stash.get(_MARBLES, None)
        if made is not None and phase == "call":  # still during the call, so that what differs is the test's failure
            made.close()
    except BaseException as own:
        errors = watch.errors()
        if not errors or not isinstance(own, pytest.skip.Exception):
            if errors:
                item.add_report_section(phase, "errors of subscribers", "\n".join(map(_text, errors)))
            raise
    else:
        errors = watch.errors()
        if not errors:
            return result
    raise _one_of([_with_own_traceback(error) for error in errors])


def _one_of(errors: list[BaseException]) -> BaseException:
    if len(errors) == 1:
        return errors[0]
    return BaseExceptionGroup(f"{len(errors)} subscribers raised", errors)


def _with_own_traceback(error: BaseException) -> BaseException:
    """``error``, pointing at the subscriber and not at what called it; as another, if it would end pytest."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _LIBRARIES:
        start = start.tb_next
    if start is not None:
        error = error.with_traceback(start)
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | pytest.exit.Exception):
        ended = RuntimeError(f"a subscriber raised {error!r}")
        ended.__cause__ = error
        return ended
    return error


def _text(error: BaseException) -> str:
    return "".join(traceback.format_exception(_with_own_traceback(error)))


def _options(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    mark = request.node.get_closest_marker(name)
    if mark is None:
        return {}
    if mark.args:
        raise pytest.UsageError(f"@pytest.mark.{name} takes keywords only, not {mark.args!r}")
    return dict(mark.kwargs)
