"""Code that documents show, and ways to run it as a reader would."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple


class Block(NamedTuple):
    """A block of Python in a document. One that begins with ``# name.py`` is a file, which others may import.

    Attributes:
        line: where it begins.
        code: what it says.
        output: what the document says that it prints; None if it says nothing.
    """

    line: int
    code: str
    output: str | None

    @property
    def file(self) -> str:
        """The file's name; ``""`` if it has none."""
        first = re.match(r"# (\w+\.py)\n", self.code)
        return first[1] if first else ""

    @property
    def is_suite(self) -> bool:
        """Whether it holds tests, which pytest runs."""
        return "\ndef test_" in self.code

    def command(self, folder: Path) -> list[str]:
        """What runs it, in development mode and with warnings as errors."""
        python = [sys.executable, "-X", "dev", "-W", "error"]
        if not self.is_suite:
            return [*python, "-c", self.code]
        suite = folder / (self.file or "test_block.py")
        suite.write_text(self.code, encoding="utf-8")
        plugins = ["no:cacheprovider", "no:hypothesispytest", "no:xdist"]
        return [*python, "-m", "pytest", "-q", f"--rootdir={folder}", *(f"-p{name}" for name in plugins), str(suite)]


def blocks(document: Path) -> list[Block]:
    """The Python of a document, each block with the text block right behind it."""
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", text, re.MULTILINE | re.DOTALL)
    return [Block(text[: match.start()].count("\n") + 1, match[1], match[2]) for match in found]


def complaints(stderr: str) -> str:
    """What a block wrote there, but not how long a step of the event loop took on a busy machine."""
    slow = re.compile(r"^Executing <.*> took \d+\.\d+ seconds\n", re.MULTILINE)
    return slow.sub("", stderr)
