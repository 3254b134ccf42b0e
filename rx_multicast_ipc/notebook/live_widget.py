"""The widget: the one file that needs the extra."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ..errors import MissingExtra

STATIC = Path(__file__).parent / "static"

MODULES = ("words", "page", "row", "store", "plot", "values", "table", "inspector", "live")
"""The front end's modules, each after those that it imports."""

_LINKS = re.compile(r"^(import .*\n|export (?!default))", re.MULTILINE)


class Widget(Protocol):
    """The part of an ipywidgets widget that a live view needs."""

    def send(self, content: Any, buffers: Any = None) -> None: ...

    def on_msg(self, callback: Callable[[Any, Any, Any], None], remove: bool = False) -> None: ...

    def close(self) -> None: ...

    def _repr_mimebundle_(self, **kwargs: Any) -> Any: ...


def make_widget(title: str) -> Widget:
    """A widget whose front end is in ``static``, module and style sheet inside the package.

    Raises:
        MissingExtra: anywidget is not installed.
    """
    return _widget_type()(title=title)


@cache
def _widget_type() -> Callable[..., Widget]:
    try:
        import anywidget
        from traitlets import Unicode
    except ImportError as error:
        raise MissingExtra("a live view", "anywidget", "notebook") from error

    class LiveWidget(anywidget.AnyWidget):
        _esm = front_end()
        _css = (STATIC / "live.css").read_text(encoding="utf-8")
        title = Unicode().tag(sync=True)

        def close(self) -> None:
            # A widget of its own, which would stay.
            self.layout.close()  # pyright: ignore[reportUnknownMemberType]
            super().close()

    return LiveWidget


def front_end() -> str:
    """All of it as one ES module, for a widget's is one: no names clash, so they are put end to end."""
    return _LINKS.sub("", "\n".join((STATIC / f"{name}.js").read_text(encoding="utf-8") for name in MODULES))
