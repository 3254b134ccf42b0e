"""Imports point one way, and the package root stays light."""

from __future__ import annotations

import ast
import inspect
import pydoc
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import get_type_hints

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import transport

from .helpers import ROOT, loaded_by

PACKAGE = ROOT / "rx_multicast_ipc"

LAYERS = (
    {"_html", "strangers"},
    {"errors"},
    {"payload_codecs"},
    {"message", "channel_statistics"},
    {"validation"},
    {"option_values"},
    {"channel_events"},
    {"subscribing"},
    {"channel_scheduler"},
    {"group"},
    {"channel_options"},
    {"transport"},
    {"receiving"},
    {"sending"},
    {"topics"},
    {"operators"},
    {"group_state"},
    {"channel"},
    {"channel_opening", "shared_channels", "blocking_run", "repeat_loops", "bridging"},
    {"__init__"},
    {"testing", "capture"},
    {"notebook"},
    {"cli"},
    {"__main__"},
    {"_pyinstaller"},
)
"""Rooms by height: each may import from those below it."""

NARROW = {
    "operators": {
        *(
            "channel_events",
            "channel_scheduler",
            "errors",
            "message",
            "payload_codecs",
            "receiving",
            "strangers",
            "subscribing",
            "topics",
        ),
        "validation",
    },
    "repeat_loops": {"errors", "validation"},
    "transport": {
        *("channel_events", "channel_options", "channel_scheduler", "channel_statistics", "errors", "group", "message"),
        *("option_values", "strangers", "subscribing", "validation"),
    },
    "notebook": {
        *("blocking_run", "capture", "channel", "errors", "message", "option_values", "payload_codecs", "receiving"),
        *("strangers", "subscribing", "testing", "topics", "validation"),
    },
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
        *("subscribing", "transport", "validation"),
    },
}
"""Rooms that know less than their height lets them."""


BETWEEN = {
    ("group_state", "group_state", "latest"),
    ("group_state", "group_state", "presence"),
    *(("transport", "opening", opened) for opened in ("engine", "framed", "sealed", "udp")),
    *(("transport", room, "udp") for room in ("engine", "framed", "threaded_end", "virtual")),
    ("transport", "sealed", "framed"),
    ("transport", "framed", "sealed"),  # what a channel without a key says of sealed datagrams
}
"""Which room within a room is imported from by which others, or by a module beside them: room, importer, imported."""


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """Every node of a module, which nobody changes."""
    return list(ast.walk(ast.parse(text_of(path))))


def imports(path: Path) -> set[str]:
    """The rooms of this package that a module imports when it is loaded."""
    return {parts[0] for parts in imported(text_of(path), path.relative_to(PACKAGE).parent.parts)}


@cache
def imported(source: str, package: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The modules, or names in them, that a module of ``package`` imports relatively, from the root on."""
    found: set[tuple[str, ...]] = set()
    tree = ast.parse(source)
    typing_only = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and isinstance(test.test, ast.Name) and test.test.id == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in typing_only:
            base = package[: len(package) - node.level + 1]
            module = node.module.split(".") if node.module else []
            found |= {(*base, *module, alias.name) for alias in node.names}
    return found


def module_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which modules each imports, by their names from the root on; a package is its ``__init__``.

    That a package is loaded with each of its modules is left out: else each with a face of its own would be a circle.
    """
    packages = {name.rpartition(".")[0] for name in sources} | {""}
    graph: dict[str, set[str]] = {}
    for name, source in sources.items():
        package = name if name in packages else name.rpartition(".")[0]
        targets: set[str] = set()
        for parts in imported(source, tuple(package.split(".") if package else ())):
            whole, owner = ".".join(parts), ".".join(parts[:-1])
            targets.add(whole if whole in sources else owner)
        graph[name] = targets - {name}
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, in the order of their imports; empty if there is none."""
    done: set[str] = set()

    def search(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph.get(name, ())):
            found = search(target, [*way, name])
            if found:
                return found
        done.add(name)
        return []

    for name in sorted(graph):
        found = search(name, [])
        if found:
            return found
    return []


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    (height,) = [number for number, layer in enumerate(LAYERS) if here in layer]
    below = {here}.union(*LAYERS[:height])
    assert imports(path) <= NARROW.get(here, below) | {here}


def test_rooms_within_a_room_import_as_is_written_down() -> None:
    found: set[tuple[str, str, str]] = set()
    for path in MODULES:
        outer, *inner = path.relative_to(PACKAGE).with_suffix("").parts
        for parts in imported(text_of(path), path.relative_to(PACKAGE).parent.parts) if inner else ():
            if parts[0] == outer and parts[1] != inner[0] and (PACKAGE / outer / parts[1]).is_dir():
                found.add((outer, inner[0], parts[1]))
    assert found == BETWEEN


def test_what_says_that_it_is_pure_has_no_clock_thread_or_socket() -> None:
    pure = [path for path in MODULES if re.match(r'"""[^"]*(Pure\b|without clock|without sockets)', text_of(path))]
    assert len(pure) > 20
    for path in pure:
        names = {alias.name for node in nodes_of(path) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes_of(path) if isinstance(node, ast.ImportFrom) and not node.level}
        touching = {"asyncio", "logging", "os", "reactivex", "select", "socket", "threading", "time"}
        assert not touching & {name.partition(".")[0] for name in names}, path


def test_no_module_imports_itself_by_way_of_others() -> None:
    sources = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): text_of(path)
        for path in MODULES
    }
    assert circle(module_graph(sources)) == []


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"a": "from .b import x", "b": "from . import a"}, ["a", "b", "a"]),
        (
            {"a": "from .p.b import x", "p": "", "p.b": "from .c import y", "p.c": "from ..a import z"},
            ["a", "p.b", "p.c"],
        ),
        ({"p": "from .b import x", "p.b": "from . import y"}, ["p", "p.b", "p"]),
        ({"a": "def f():\n    from .b import x", "b": "from .a import y"}, ["a", "b", "a"]),
        ({"a": "from .b import x", "b": "if TYPE_CHECKING:\n    from .a import y"}, []),
        ({"p": "from .b import x", "p.b": "from . import c", "p.c": ""}, []),
    ],
)
def test_a_circle_is_found_wherever_it_is(sources: dict[str, str], expected: list[str]) -> None:
    assert circle(module_graph(sources))[: len(expected)] == expected


def test_no_stream_of_the_package_can_be_looped_over_by_mistake() -> None:
    making = re.compile(r"(?<!\w)Observable(\[\w+\])?\(")
    plain = [path for path in MODULES if making.search(text_of(path)) and making.search(code_of(path))]
    assert plain == [], "make it a Stream (validation/stream.py): a loop over it is an error then, and no loop for ever"


def code_of(path: Path) -> str:
    """A module without its docstrings and comments."""
    return ast.unparse(Undocumented().visit(ast.parse(text_of(path))))


class Undocumented(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else node


def test_nothing_but_the_transport_asks_which_platform_this_is() -> None:
    asking = [path for path in MODULES if "sys.platform" in text_of(path) or "platform.system" in text_of(path)]
    assert asking == [PACKAGE / "transport" / "udp" / "platform.py"]


def test_importing_the_package_loads_no_extra_and_no_testing_kit() -> None:
    loaded = loaded_by("import rx_multicast_ipc")
    assert not {"pytest", "hypothesis", "anywidget", "html", "textual"} & loaded
    assert "rx_multicast_ipc.testing" not in loaded
    assert "argparse" not in loaded


def test_importing_the_package_loads_nothing_before_a_name_is_touched() -> None:
    loaded = loaded_by("import rx_multicast_ipc")
    assert not {"reactivex", "msgspec", "asyncio", "rx_multicast_ipc.errors"} & loaded


def test_a_program_that_listens_and_sends_loads_no_more_than_that_takes() -> None:
    loaded = loaded_by("""
import rx_multicast_ipc as ipc
with ipc.open_channel(61091) as channel:
    channel.messages.subscribe(lambda message: None)
    ipc.run(channel.broadcast("x"))
""")
    assert "rx_multicast_ipc.channel" in loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("rx_multicast_ipc.")}
    assert not {"bridging", "capture", "notebook", "operators", "testing", "topics"} & rooms
    kinds = ("shared_channels", "repeat_loops", "sending.transfer", "sending.responding", "sending.acknowledged_send")
    layers = ("transport.framed", "transport.sealed.sessions", "transport.engine", "transport.virtual")
    assert not {f"rx_multicast_ipc.{name}" for name in (*kinds, *layers, "group_state.group_state")} & loaded


def test_a_name_of_the_package_loads_from_where_type_checkers_read_it() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    read = {
        alias.name: f".{node.module}" if node.module else ""
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    loads = {
        name: ipc._MODULES.get(name, ".errors")  # pyright: ignore[reportPrivateUsage]
        for name in ipc.__all__
        if name != "__version__"
    }
    assert loads == read


def test_every_public_name_is_there_and_documented() -> None:
    for name in ipc.__all__:
        if not name.startswith("DEFAULT"):
            assert getattr(ipc, name).__doc__, name


def test_every_public_callable_says_what_it_takes_and_raises() -> None:
    for name in ("open_channel", "messages", "broadcast", "send", "with_socket", "repeat_for", "repeat_while", "run"):
        text = getattr(ipc, name).__doc__
        assert "Args:" in text, name
        assert "Raises:" in text, name


def test_help_and_editors_can_show_every_public_name() -> None:
    for module in (ipc, ipc.testing, ipc.capture, ipc.operators, ipc.notebook, transport):
        assert pydoc.render_doc(module)  # what help() prints
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value):
                get_type_hints(value)
            with suppress(ValueError):  # a class of C has no signature
                inspect.signature(value) if callable(value) else None


CLI = sorted((PACKAGE / "cli").rglob("*.py"))


@cache
def calls(path: Path) -> list[ast.Call]:
    return [node for node in nodes_of(path) if isinstance(node, ast.Call)]


def called(call: ast.Call) -> str:
    """The last part of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


@pytest.mark.parametrize("path", CLI, ids=lambda path: str(path.relative_to(PACKAGE)))
class TestTheCommandLineTrustsNoStranger:
    """What it does with strangers' bytes, it does through the package ``strangers``."""

    def test_nothing_is_decoded_but_there(self, path: Path) -> None:
        decoders = {
            target.id
            for node in nodes_of(path)
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
        streams = [text for text in ("sys.stdout.write", "sys.stderr.write", "stdout.buffer") if text in text_of(path)]
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
        assert [kind for kind in kinds if kind in text_of(path)] == []

    def test_only_limited_answers_go_to_addresses_of_datagrams(self, path: Path) -> None:
        answering = [
            call for call in calls(path) if called(call) in ("reply", "send") and "channel" in ast.unparse(call)
        ]
        assert not answering or "AnswerLimit" in text_of(path), list(map(ast.unparse, answering))


def test_every_module_logs_to_the_logger_whose_records_are_printable() -> None:
    import logging

    from rx_multicast_ipc.strangers.safe_log import LOGGER, PrintableRecords

    assert any(isinstance(found, PrintableRecords) for found in logging.getLogger(LOGGER).filters)
    for path in MODULES:
        for call in calls(path) if "getLogger" in text_of(path) else ():
            if called(call) == "getLogger":
                assert ast.unparse(call) in (f"logging.getLogger({LOGGER!r})", "logging.getLogger(LOGGER)"), path


def test_the_root_holds_what_users_hold_and_no_more() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 16, "put it into a room"


def test_nothing_draws_from_the_random_numbers_of_the_program() -> None:
    """A thread that did would change what a program draws that seeded them."""
    for path in MODULES:
        nodes = nodes_of(path)
        modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        own = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "random"]
        assert "random" not in modules, path
        assert {alias.name for node in own for alias in node.names} <= {"Random", "SystemRandom"}, path
