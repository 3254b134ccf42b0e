"""Imports point one way, and the package root stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc

from .helpers import ROOT

PACKAGE = ROOT / "rx_multicast_ipc"

LAYERS = (
    {"_html"},
    {"message", "channel_events", "channel_statistics", "subscriber_errors"},
    {"errors"},
    {"validation", "channel_scheduler", "cold_observable", "deadlocks"},
    {"group", "reliable"},
    {"channel_options"},
    {"transport"},
    {"receiving"},
    {"sending"},
    {"channel"},
    {"shared_channels", "blocking_run", "async_iteration", "operators", "repeat_loops"},
    {"__init__"},
    {"testing", "capture"},
    {"notebook"},
    {"cli"},
    {"__main__"},
)
"""Rooms by height: each may import from those below it."""

NARROW = {
    "operators": {
        "channel_events",
        "channel_scheduler",
        "errors",
        "message",
        "receiving",
        "subscriber_errors",
        "validation",
    },
    "repeat_loops": {"errors", "validation"},
    "transport": {
        *("channel_events", "channel_options", "channel_scheduler", "channel_statistics", "errors", "group", "message"),
        *("reliable", "subscriber_errors", "validation"),
    },
    "notebook": {"blocking_run", "channel", "errors", "message", "receiving", "testing", "validation"},
    "testing": {
        *(
            "channel",
            "channel_events",
            "channel_options",
            "channel_statistics",
            "errors",
            "group",
            "message",
            "receiving",
        ),
        *("subscriber_errors", "transport", "validation"),
    },
}
"""Rooms that know less than their height lets them."""


def imports(path: Path) -> set[str]:
    """The rooms of this package that a module imports when it is loaded."""
    package = path.relative_to(PACKAGE).parent.parts
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in typing_only:
            base = package[: len(package) - node.level + 1]
            for alias in node.names:
                parts = [*base, *(node.module.split(".") if node.module else [alias.name])]
                found.add(parts[0])
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    (height,) = [number for number, layer in enumerate(LAYERS) if here in layer]
    below = {here}.union(*LAYERS[:height])
    assert imports(path) <= NARROW.get(here, below) | {here}


def test_nothing_but_the_transport_asks_which_platform_this_is() -> None:
    asking = [path for path in MODULES if "sys.platform" in path.read_text() or "platform.system" in path.read_text()]
    assert asking == [PACKAGE / "transport" / "udp" / "platform.py"]


def test_importing_the_package_loads_no_extra_and_no_testing_kit() -> None:
    code = "import sys, rx_multicast_ipc; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pytest", "hypothesis", "anywidget", "html", "textual"} & set(loaded)
    assert "rx_multicast_ipc.testing" not in loaded
    assert "argparse" not in loaded


def test_every_public_name_is_there_and_documented() -> None:
    for name in ipc.__all__:
        if not name.startswith("DEFAULT"):
            assert getattr(ipc, name).__doc__, name


def test_every_public_callable_says_what_it_takes_and_raises() -> None:
    for name in ("open_channel", "messages", "broadcast", "send", "with_socket", "repeat_for", "repeat_while", "run"):
        text = getattr(ipc, name).__doc__
        assert "Args:" in text, name
        assert "Raises:" in text, name
