"""Sphinx extension: a page of reference for each subject, from docstrings, with every public name on one of them.

Public is what stands in an ``__all__`` of the package. What no subject below claims gets a place by what it is, so a
new name is documented without an entry here. The pages are written to ``api/`` before Sphinx looks for pages.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config, GoogleDocstring

PACKAGE = "rx_multicast_ipc"
ROOT = Path(__file__).parent.parent / PACKAGE
PAGES = Path(__file__).parent / "api"

SUBJECTS = {
    "Channels": "open_channel Channel messages broadcast send with_socket ChannelOptions Reliable",
    "Running and looping": "run to_async_iterable repeat_for repeat_while set_unhandled_error_hook",
}
"""Pages of the package's root: which names stand on each, in this order."""

OTHERS, ERRORS = "Values and events", "Errors and warnings"
"""Pages of the root for all other names."""

LIBRARIES = {*sys.stdlib_module_names, "reactivex", "msgspec", "pytest", "anywidget", "typing_extensions", "TypeForm"}
"""What names of lead out of this site: references to them are no links."""


class Page(NamedTuple):
    title: str
    module: str
    names: list[str]

    @property
    def file(self) -> str:
        return self.title.removeprefix(f"{PACKAGE}.").lower().replace(" ", "_")


def public_modules() -> list[str]:
    """Every module with an ``__all__``, the root first."""
    found: list[str] = []
    for path in sorted(ROOT.rglob("__init__.py")):
        assigned = (node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.Assign))
        if any(isinstance(target, ast.Name) and target.id == "__all__" for node in assigned for target in node.targets):
            found.append(".".join(path.parent.relative_to(ROOT.parent).parts))
    return found


def pages() -> list[Page]:
    """Every page, with the names that stand on it."""
    made: list[Page] = []
    root = import_module(PACKAGE)
    for name in public_modules():
        module = import_module(name)
        names = [each for each in module.__all__ if each != "__version__"]
        if name != PACKAGE:  # without what the root has as well
            own = [each for each in names if getattr(module, each) is not getattr(root, each, None)]
            made.append(Page(name, name, own))
            continue
        claimed = {title: said.split() for title, said in SUBJECTS.items()}
        left = [each for each in names if not any(each in said for said in claimed.values())]
        errors = [each for each in left if _is_error(getattr(module, each))]
        others = [each for each in left if each not in errors and not inspect.ismodule(getattr(module, each))]
        claimed |= {OTHERS: others, ERRORS: errors}
        made += [Page(title, name, [each for each in said if each in names]) for title, said in claimed.items()]
    return made


def write_pages(_app: Sphinx) -> None:
    PAGES.mkdir(exist_ok=True)
    found = pages()
    import_what_signatures_name()
    made = {page.file: _text(page) for page in found}
    contents = "\n".join(f"   {name}" for name in made)
    made["index"] = f"{_heading('API reference')}\n.. toctree::\n\n{contents}\n   pytest\n"
    made["pytest"] = _PYTEST
    for stale in PAGES.glob("*.rst"):
        if stale.stem not in made:
            stale.unlink()
    for name, text in made.items():
        path = PAGES / f"{name}.rst"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def import_what_signatures_name() -> None:
    """Do what stands under ``if TYPE_CHECKING:`` in modules that are imported, for autodoc evaluates annotations."""
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        module = sys.modules[name]
        for statement in ast.parse(Path(module.__file__ or "").read_text("utf-8")).body:
            if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
                for line in statement.body:
                    with suppress(ImportError):  # what only type checkers bring
                        exec(ast.unparse(line), vars(module))


def _text(page: Page) -> str:
    module = import_module(page.module)
    lines = [_heading(page.title)]
    if page.title == page.module:
        lines += [f".. automodule:: {page.module}\n   :no-members:\n"]
    lines += [f".. currentmodule:: {page.module}\n"]
    lines += [".. autosummary::", "   :nosignatures:\n", *(f"   {name}" for name in page.names), ""]
    lines += [_entry(page.module, name, getattr(module, name)) for name in page.names]
    return "\n".join(lines)


def _entry(module: str, name: str, found: Any) -> str:
    if inspect.ismodule(found):
        return f".. automodule:: {found.__name__}\n   :members:\n"
    if inspect.isclass(found):
        kind = "exception" if _is_error(found) else "class"
        return f".. auto{kind}:: {module}.{name}\n   :members:\n   :show-inheritance:\n"
    if inspect.isroutine(found):
        return f".. autofunction:: {module}.{name}\n"
    said = _said_of(name, found).replace("\n", "\n   ")
    value = repr(found).replace("typing.", "").replace("collections.abc.", "")
    return f".. py:data:: {name}\n   :value: {value}\n\n   {said}\n"


def _is_error(found: Any) -> bool:
    return inspect.isclass(found) and issubclass(found, BaseException)


def _said_of(name: str, value: Any) -> str:
    """The text below the assignment of a constant or an alias."""
    for module in list(sys.modules.values()):
        if not module.__name__.startswith(PACKAGE) or vars(module).get(name) is not value:
            continue
        body = ast.parse(inspect.getsource(module)).body
        for statement, following in pairwise(body):
            assigned = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in assigned):
                match following:
                    case ast.Expr(ast.Constant(str(text))):
                        return inspect.cleandoc(text)
                    case _:
                        return ""
    return ""


@cache
def _public_names() -> dict[str, str]:
    """Where each public object stands in the reference, by where it is defined."""
    found: dict[str, str] = {}
    for page in pages():
        module: ModuleType = import_module(page.module)
        for name in page.names:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                found.setdefault(f"{value.__module__}.{value.__qualname__}", f"{page.module}.{name}")
    return found


def _resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement) -> nodes.Node | None:
    """A link to the public name of what code calls by another one; plain text for names of libraries."""
    if node.get("refdomain") != "py":
        return None
    target: str = node["reftarget"]
    if target.partition(".")[0] in LIBRARIES:
        return text
    for candidate in _candidates(target, node.get("py:module") or PACKAGE):
        known = _public_names()
        defined, _, member = candidate.rpartition(".")
        public = known.get(candidate) or (f"{known[defined]}.{member}" if defined in known else f"{PACKAGE}.{target}")
        domain = env.domains.python_domain
        if public in domain.objects:
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, node["reftype"], public, _pointing_at(node, public), text
            )
    return text if _is_private(target, node.get("py:module")) else None


def _candidates(target: str, module: str) -> list[str]:
    return [target, f"{module}.{target}", f"{PACKAGE}.{target}"]


def _pointing_at(node: pending_xref, target: str) -> pending_xref:
    copied = node.copy()
    copied["reftarget"] = target
    return copied


def _is_private(target: str, module: str | None) -> bool:
    """Whether it names what the package has and no page is about: a type variable, an alias, a class of its inside."""
    where, _, name = target.rpartition(".")
    inside = [each for each in list(sys.modules) if each.startswith(PACKAGE)]
    return any(hasattr(sys.modules.get(place), name) for place in (where, module or "", *inside))


def _read_sections(app: Sphinx, what: str, name: str, found: object, options: object, lines: list[str]) -> None:
    """Read sections such as ``Args:`` as napoleon does, which would take "Hot: ..." of a property for its type."""
    for at, line in enumerate(lines):  # "latency, jitter: seconds" of attributes, which would be a type and a name
        if names := re.match(r" +\w+(, \w+)+:", line):
            lines[at] = names[0].replace(", ", ",") + line[names.end() :]
    code = [
        at for at in range(2, len(lines)) if lines[at][:4] == "    " and not lines[at - 1] and lines[at - 2][:1].strip()
    ]
    for at in reversed(code):  # indented below a paragraph
        lines[at - 1 : at] = ["", "::", ""]
    kind = "method" if what in ("attribute", "data", "property") else what
    lines[:] = GoogleDocstring(lines, Config(napoleon_use_ivar=True), app, kind, name, found, options).lines()


def _heading(title: str) -> str:
    return f"{title}\n{'=' * len(title)}\n"


_PYTEST = f"""{_heading("Fixtures of pytest")}
They come with the package; :doc:`the guide </testing>` shows them.

.. autofunction:: rx_multicast_ipc_pytest.marbles
.. autofunction:: rx_multicast_ipc_pytest.virtual_network
.. autofunction:: rx_multicast_ipc_pytest.on_virtual_network
"""


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", _read_sections)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True}
