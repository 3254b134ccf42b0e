"""How findings are shown."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from ..output import Output, takes_colours
from .finding import Finding, Severity

_MARKS: Final = {
    Severity.OK: ("ok", "32"),
    Severity.NOTE: ("note", "36"),
    Severity.WARNING: ("warning", "33"),
    Severity.FAULT: ("FAULT", "31;1"),
}
"""A word, and its colour on a terminal (ECMA-48)."""

_WIDTH: Final = 100
_INDENT: Final = " " * 9


class Printer:
    """Shows findings as they come."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._counts: Counter[Severity] = Counter()

    @property
    def worst(self) -> Severity:
        """The gravest so far."""
        return max(self._counts, key=list(Severity).index, default=Severity.OK)

    def show(self, finding: Finding) -> None:
        self._counts[finding.severity] += 1
        if self._output.is_json:
            self._output.records([msgspec.to_builtins(finding)])
        else:
            word, colour = _MARKS[finding.severity]
            mark = f"\x1b[{colour}m{word:>7}\x1b[0m" if takes_colours() else f"{word:>7}"
            self._output.lines(_lines(finding), mark)

    def end(self) -> None:
        """Print the totals, for people."""
        if not self._output.is_json:
            names = {Severity.FAULT: "fault", Severity.WARNING: "warning", Severity.NOTE: "note"}
            counts = [
                _count(self._counts[severity], name) for severity, name in names.items() if self._counts[severity]
            ]
            verdict = [] if self.worst in (Severity.FAULT, Severity.WARNING) else ["nothing is wrong"]
            self._output.lines(["", ", ".join(verdict + counts)])


def _count(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _lines(finding: Finding) -> Iterator[str]:
    seen = textwrap.wrap(f"{finding.subject}: {finding.seen}", _WIDTH, break_on_hyphens=False)
    yield f"  {seen[0]}"
    yield from (f"{_INDENT}{line}" for line in seen[1:])
    if finding.means:
        yield from textwrap.wrap(
            f"means: {finding.means}", _WIDTH, initial_indent=_INDENT, subsequent_indent=f"{_INDENT}       "
        )
    for step in finding.fix:  # unbroken, to be copied
        yield f"{_INDENT}fix:   {step}"
