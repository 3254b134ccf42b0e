"""How ``--help`` looks: in 80 columns, with examples that can be copied as they stand."""

from __future__ import annotations

import re
from argparse import HelpFormatter as ArgparseFormatter
from collections.abc import Iterator
from typing import Final

_WIDTH: Final = 80
"""Fixed, or else argparse imports much to find out the terminal's, at every start."""

_EXAMPLE: Final = "  $ "


class HelpFormatter(ArgparseFormatter):
    """Keeps the lines of descriptions and epilogs, and folds those that are too long."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_WIDTH)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "".join(f"{indent}{line}\n" for each in text.splitlines() for line in folded(each, width)).rstrip()


def folded(line: str, width: int = _WIDTH) -> Iterator[str]:
    """The lines of ``line``: an example goes on after a backslash, and its comment stands below it."""
    if len(line) <= width:
        yield line
    elif line.startswith(_EXAMPLE):
        command, _, comment = line.partition("  # ")
        yield from _continued(command, width)
        if comment:
            yield f"      # {comment}"
    else:
        from textwrap import wrap

        hanging = re.match(r" +\d+ +", line)  # an exit code, and what it means
        yield from wrap(line, width, subsequent_indent=" " * (hanging.end() if hanging else 0))


def _continued(command: str, width: int) -> Iterator[str]:
    """``command``, broken before its options and operators."""
    parts = iter(re.split(r" (?=--|\|\||&&|> )", command))
    line = next(parts)
    for part in parts:
        if len(f"{line} {part} \\") > width:
            yield f"{line} \\"
            line = f"      {part}"
        else:
            line = f"{line} {part}"
    yield line
