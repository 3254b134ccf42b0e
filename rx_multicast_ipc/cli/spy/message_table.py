"""A table of any number of rows, of which only those on the screen are drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate, islice
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message as Event
from textual.scroll_view import ScrollView
from textual.strip import Strip


class Row(Protocol):
    """Whatever is shown as a row; equal keys are the same row."""

    @property
    def key(self) -> Hashable: ...


_LEAST_REST: Final = 16
"""Cells of the column that takes the rest, before optional ones go."""

_R = TypeVar("_R", bound=Row)


class Column(NamedTuple):
    """Attributes:
    title: at its head.
    width: cells; 0 takes what the others leave.
    right: whether it is aligned to the right.
    optional: whether it goes where there is little room.
    whole: whether it widens to the widest of its cells on the screen, so that none is cut.
    """

    title: str
    width: int = 0
    right: bool = False
    optional: bool = False
    whole: bool = False


class Table(ScrollView, Generic[_R], can_focus=True):
    """Rows with a cursor that stays on its row however rows come, go and change places.

    Args:
        columns: what is in a row.
        cells: the texts of a row, one a column.
        follow: whether the cursor is on the last row as long as nobody moves it away from there.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--header", "table--cursor"}
    DEFAULT_CSS = """
    Table { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    Table .table--header { text-style: bold; color: $text-muted; }
    Table .table--cursor { background: $boost; }
    Table:focus .table--cursor { background: $primary 60%; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "first", "First", show=False),
        Binding("end", "last", "Last", show=False),
        Binding("enter", "enter", "Choose", show=False),
    ]

    class Moved(Event):
        """The cursor is on another row."""

    class Entered(Event):
        """Enter was pressed, or a row clicked twice."""

    class HeaderClicked(Event):
        """A column's head was clicked."""

        def __init__(self, column: int) -> None:
            self.column = column
            super().__init__()

    def __init__(
        self, columns: Sequence[Column], cells: Callable[[_R], Sequence[str]], *, follow: bool = False, id: str
    ) -> None:
        super().__init__(id=id)
        self._columns = columns
        self._cells = cells
        self._follow = follow
        self.following = follow
        self._rows: Sequence[_R] = ()
        self._key: Hashable = None
        self._index = 0
        self._drawn: list[Strip] = []
        self._wide = [column.width for column in columns]
        self.marked: tuple[int, str] | None = None
        """A column, and what is put behind its title."""
        self.hidden: frozenset[int] = frozenset()
        """Columns that are not shown."""

    @property
    def selected(self) -> _R | None:
        """The row under the cursor."""
        return self._rows[self._index] if self._rows else None

    def show(self, rows: Sequence[_R]) -> None:
        """Show these rows from now on."""
        above = self._index - round(self.scroll_y)
        self._rows = rows
        if self.following:
            self._index = max(0, len(rows) - 1)
        else:
            self._index = next(
                (n for n, row in enumerate(rows) if row.key == self._key), min(self._index, len(rows) - 1)
            )
            self._index = max(0, self._index)
        self.virtual_size = Size(self.size.width, len(rows) + 1)
        if self.following:
            self.scroll_to(y=len(rows), animate=False, force=True)
        elif self._follow:  # the row under the cursor stays where it is on the screen
            self.scroll_to(y=self._index - above, animate=False, force=True)
        self._moved()
        self._draw()

    def render_line(self, y: int) -> Strip:
        if y == 0:
            titles = [column.title for column in self._columns]
            if self.marked is not None:
                titles[self.marked[0]] += self.marked[1]
            return self._line(titles, "table--header")
        index = y - 1 + round(self.scroll_y)
        if index >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        return self._line(self._cells(self._rows[index]), "table--cursor" if index == self._index else None)

    def action_move(self, by: int) -> None:
        self._go(self._index + by)

    def action_page(self, by: int) -> None:
        self._go(self._index + by * max(1, self.size.height - 2))

    def action_first(self) -> None:
        self._go(0)

    def action_last(self) -> None:
        self._go(len(self._rows) - 1)

    def action_enter(self) -> None:
        self.post_message(self.Entered())

    def on_click(self, event: Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y == 0:
            self.post_message(self.HeaderClicked(self._column_at(at.x)))
            return
        self._go(at.y - 1 + round(self.scroll_y))
        if event.chain == 2:
            self.action_enter()

    def on_resize(self, _: Resize) -> None:
        self.show(self._rows)

    def _go(self, index: int) -> None:
        self._index = max(0, min(index, len(self._rows) - 1))
        self.following = self._follow and self._index == len(self._rows) - 1
        top, shown = round(self.scroll_y), max(1, self.size.height - 1)
        if not top <= self._index < top + shown:
            self.scroll_to(y=self._index if self._index < top else self._index - shown + 1, animate=False, force=True)
        self._moved()
        self._draw()

    def _draw(self) -> None:
        """Draw only the lines that changed, which saves output on a slow connection."""
        self._fit()
        before, self._drawn = self._drawn, [self.render_line(y) for y in range(self.size.height)]
        changed = [y for y, line in enumerate(self._drawn) if y >= len(before) or line != before[y]]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def _fit(self) -> None:
        """Widen the columns whose cells are shown whole."""
        top = round(self.scroll_y)
        cells = [self._cells(row) for row in islice(self._rows, top, top + max(0, self.size.height - 1))]
        for number, column in enumerate(self._columns):
            if column.whole:
                self._wide[number] = max([column.width, *(cell_len(texts[number]) for texts in cells)])

    def _moved(self) -> None:
        selected = self.selected
        key = None if selected is None else selected.key
        if key != self._key:
            self._key = key
            self.post_message(self.Moved())

    def _widths(self) -> list[tuple[int, int]]:
        """The number and width of every column that there is room for."""
        wide = self._wide
        shown = [pair for pair in enumerate(self._columns) if pair[0] not in self.hidden]
        while True:
            rest = self.size.width - sum(wide[number] + 2 for number, _ in shown) + 1
            optional = [pair for pair in shown if pair[1].optional]
            if rest >= _LEAST_REST or not optional:
                return [(number, wide[number] or max(1, rest)) for number, _ in shown]
            shown.remove(optional[-1])

    def _column_at(self, x: int) -> int:
        columns = self._widths()
        ends = accumulate(width + 2 for _, width in columns)
        return next((number for (number, _), end in zip(columns, ends, strict=True) if x <= end), columns[-1][0])

    def _line(self, texts: Sequence[str], style: str | None) -> Strip:
        rich_style: Any = self.get_component_rich_style(style) if style else self.rich_style
        parts: list[str] = [" "]
        for number, width in self._widths():
            column, text = self._columns[number], texts[number]
            parts.append(text.rjust(width)[-width:] if column.right else set_cell_size(text, width))
            parts.append("  ")
        return Strip([Segment(set_cell_size("".join(parts), self.size.width), rich_style)], self.size.width)
