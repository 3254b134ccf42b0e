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
    {"_html", "strangers"},
    {"errors"},
    {"payload_format"},
    {"message", "channel_events", "channel_statistics", "subscriber_errors"},
    {"validation", "channel_scheduler", "cold_observable", "deadlocks"},
    {"group"},
    {"channel_options"},
    {"transport"},
    {"receiving"},
    {"sending"},
    {"operators"},
    {"topics"},
    {"channel"},
    {"shared_channels", "blocking_run", "repeat_loops"},
    {"__init__"},
    {"testing", "capture"},
    {"notebook"},
    {"cli"},
    {"__main__"},
)
"""Rooms by height: each may import from those below it."""

NARROW = {
    "operators": {
        *("channel_scheduler", "errors", "message", "payload_format", "receiving", "strangers", "subscriber_errors"),
        "validation",
    },
    "repeat_loops": {"errors", "validation"},
    "transport": {
        *("channel_events", "channel_options", "channel_scheduler", "channel_statistics", "errors", "group", "message"),
        *("subscriber_errors", "validation"),
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


CLI = sorted((PACKAGE / "cli").rglob("*.py"))


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def called(call: ast.Call) -> str:
    """The last part of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


@pytest.mark.parametrize("path", CLI, ids=lambda path: str(path.relative_to(PACKAGE)))
class TestTheCommandLineTrustsNoStranger:
    """What it does with strangers' bytes, it does through the package ``strangers``."""

    def test_nothing_is_decoded_but_there(self, path: Path) -> None:
        decoders = {
            target.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.AnnAssign | ast.Assign)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr in ("decode", "loads")
            for target in ([node.target] if isinstance(node, ast.AnnAssign) else node.targets)
            if isinstance(target, ast.Name)
        }
        going_around = {"decode", "loads", "format", "convert"} | decoders
        found = [ast.unparse(call) for call in calls(path) if called(call) in going_around]
        own_json = "lines.decode()" if path.name == "output.py" else None
        assert [text for text in found if text != own_json] == []

    def test_only_output_and_the_progress_line_write(self, path: Path) -> None:
        writing = {"print", "write", "writelines", "dup2"} & {called(call) for call in calls(path)}
        streams = [
            text for text in ("sys.stdout.write", "sys.stderr.write", "stdout.buffer") if text in path.read_text()
        ]
        if path.name not in ("output.py", "progress_line.py", "record.py", "main.py"):
            assert (writing, streams) == (set(), [])

    def test_what_writes_makes_it_printable(self, path: Path) -> None:
        for call in calls(path):
            if called(call) in ("print", "update", "notify") or ast.unparse(call.func).endswith("_stream.write"):
                text = ast.unparse(call)
                allowed = ("printable", "\\r\\x1b[K", "record.getMessage", "text", "status", "''")
                assert any(word in text for word in allowed), text

    def test_nothing_is_kept_of_each_sender_without_a_bound(self, path: Path) -> None:
        kinds = ("dict[Address", "set[Address", "list[Address", "defaultdict", "Counter[Address")
        assert [kind for kind in kinds if kind in path.read_text()] == []

    def test_only_limited_answers_go_to_addresses_of_datagrams(self, path: Path) -> None:
        answering = [
            call for call in calls(path) if called(call) in ("reply", "send") and "channel" in ast.unparse(call)
        ]
        assert not answering or "AnswerLimit" in path.read_text(), list(map(ast.unparse, answering))


def test_every_module_logs_to_the_logger_whose_records_are_printable() -> None:
    import logging

    from rx_multicast_ipc.strangers.safe_log import LOGGER, PrintableRecords

    assert any(isinstance(found, PrintableRecords) for found in logging.getLogger(LOGGER).filters)
    for path in MODULES:
        for call in calls(path):
            if called(call) == "getLogger":
                assert ast.unparse(call) in (f"logging.getLogger({LOGGER!r})", "logging.getLogger(LOGGER)"), path
