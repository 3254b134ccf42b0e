from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import rx_multicast_ipc as ipc
from rx_multicast_ipc.subscribing.subscriber_errors import UnhandledErrorHook
from rx_multicast_ipc.testing import VirtualClock
from rx_multicast_ipc.testing.conformance.transport_rig import free_port

from . import npm, seclusion, wine
from .helpers import ROOT, THOROUGH
from .wall_clock import WallClock

# Tests start hundreds of processes that import the package: the first one compiles it for all, whatever was asked for.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What a script starts in the background ignores Ctrl-C, and so would all that the tests start.
for _name, _usual in (("SIGINT", signal.default_int_handler), ("SIGQUIT", signal.SIG_DFL), ("SIGHUP", signal.SIG_DFL)):
    if (_number := getattr(signal, _name, None)) and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# How long an example takes is the machine's affair, and it may be busy.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100 if THOROUGH else 25
)
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        wine.expect(item)
    if "PYTEST_XDIST_WORKER" in os.environ:
        beside_others = pytest.mark.skip(reason="measures time: run it alone, with pytest -m quiet_machine")
        for item in items:
            if item.get_closest_marker("quiet_machine"):
                item.add_marker(beside_others)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Each worker imports the tests from another file on, so that it finds compiled what the others have come to."""
    worker: dict[str, Any] | None = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    first = int(worker["workerid"].removeprefix("gw")) * len(files) // worker["workercount"]
    for file in (*files[first:], *files[:first]):
        with suppress(Exception, pytest.skip.Exception):  # collection meets it again, and tells
            import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """What was imported and collected stays: no collection of garbage has to look at it again, test after test."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    wine.configure(config)
    seclusion.seclude(worker=hasattr(config, "workerinput"))


@pytest.fixture
def port() -> int:
    """A UDP port that nobody uses."""
    return free_port()


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where npm installed the package that this one succeeds."""
    return npm.install(tmp_path_factory.mktemp("npm"))


@pytest.fixture
def clock() -> VirtualClock:
    """Virtual time."""
    return VirtualClock()


@pytest.fixture
def channel(port: int) -> Iterator[ipc.Channel]:
    """A channel on loopback."""
    with ipc.open_channel(port) as opened:
        yield opened


@pytest.fixture(autouse=True)
def unhandled() -> Iterator[list[BaseException]]:
    """What subscribers raised and nobody handled. A test that expects such errors clears the list."""
    errors: list[BaseException] = []
    previous: UnhandledErrorHook = ipc.set_unhandled_error_hook(errors.append)
    yield errors
    ipc.set_unhandled_error_hook(previous)
    assert errors == []


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """The wall clock, to step it."""
    return WallClock(monkeypatch)
