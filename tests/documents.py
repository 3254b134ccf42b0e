"""Code that documents show, and ways to run it as a reader would."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from .helpers import PATIENCE, ROOT, wait_until


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


class Terminals(NamedTuple):
    """Programs that a document shows side by side: ``<!-- terminals: listen.py | say.py -->`` before what one prints.

    ``record.py | talk.py && plot.py`` runs some to their end, and then others, whose output is meant.

    Attributes:
        line: where it begins.
        stages: each of commands that run side by side: files of the document or ``rx-multicast-ipc``, with arguments.
        output: what the first one of the last stage prints, among other things; "..." stands for the rest of a line.
        code: of the files.
    """

    line: int
    stages: list[list[list[str]]]
    output: str
    code: str

    def run(self, folder: Path) -> None:
        """Run each stage until its first command ended, and the last until that printed what it should.

        Whichever ends begins once more, for one that speaks may be done, or give up, before the other one listens.
        """
        skip_without_what_it_imports(self.code, folder)
        expected = re.escape(self.output).replace(re.escape("..."), ".*")
        for stage in self.stages:
            self._run(stage, folder, expected if stage is self.stages[-1] else None)

    def _run(self, stage: list[list[str]], folder: Path, expected: str | None) -> None:
        heard, told = folder / "heard.txt", folder / "complaints.txt"
        with heard.open("w") as out, told.open("w") as err, ExitStack() as stack:

            def start(command: list[str], out: IO[str] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
                name, *arguments = command
                program = [name] if name.endswith(".py") else ["-m", name.replace("-", "_")]
                line = [sys.executable, "-X", "dev", "-W", "error", "-u", *program, *arguments]
                environment = {**os.environ, "PYTHONPATH": str(ROOT)}
                process = subprocess.Popen(line, cwd=folder, env=environment, stdout=out, stderr=err)
                stack.callback(process.wait)
                stack.callback(process.kill)
                return process

            running = [start(stage[0], out), *(start(command) for command in stage[1:])]

            def is_over() -> bool:
                if expected is None:
                    return running[0].poll() is not None
                if re.search(expected, heard.read_text("utf-8")):
                    return True
                for at, process in enumerate(running):
                    if process.poll() is not None:
                        err.truncate(err.seek(0))  # of an attempt that came too early
                        running[at] = start(stage[at], subprocess.DEVNULL if at else out)
                return False

            wait_until(is_over, 3 * PATIENCE)
            said = complaints(told.read_text("utf-8")).splitlines()  # before they are killed
        rest = [line for line in said if "Traceback" in line or "Warning" in line]  # what programs log is their own
        assert rest == [], rest


def skip_without_what_it_imports(code: str, folder: Path) -> None:
    """Skip a test of code that imports a library which is not installed here."""
    for node in ast.walk(ast.parse(code)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in {name.partition(".")[0] for name in names}:
            if not (folder / f"{name}.py").exists() and find_spec(name) is None:
                pytest.skip(f"needs {name}: pip install -e '.[docs-test]'")


def terminals(document: Path) -> list[Terminals]:
    """What a document shows in several terminals."""
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"^<!-- terminals: ([^\n]+) -->\n```text\n(.*?)^```\n", text, re.MULTILINE | re.DOTALL)
    code = {block.file: block.code for block in blocks(document)}
    shown: list[Terminals] = []
    for match in found:
        stages = [[shlex.split(command) for command in stage.split(" | ")] for stage in match[1].split(" && ")]
        files = [code.get(command[0], "") for stage in stages for command in stage]
        shown.append(Terminals(text[: match.start()].count("\n") + 1, stages, match[2], "\n".join(files)))
    return shown


def write_files(document: Path, folder: Path) -> None:
    """Put the files that a document shows into a folder."""
    for block in blocks(document):
        if block.file:
            (folder / block.file).write_text(block.code, encoding="utf-8")


def blocks_to_run(document: Path) -> list[Block]:
    """The Python of a document that runs by itself."""
    beside_others = {command[0] for shown in terminals(document) for stage in shown.stages for command in stage}
    found = blocks(document)
    started = {each.file for each in found for other in found if each.file and f'"{each.file}"' in other.code}
    return [block for block in found if block.file not in beside_others | started]


def blocks(document: Path) -> list[Block]:
    """The Python of a document, each block with the text block right behind it."""
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", text, re.MULTILINE | re.DOTALL)
    return [Block(text[: match.start()].count("\n") + 1, match[1], match[2]) for match in found]


def complaints(stderr: str) -> str:
    """What a block wrote there, but not how long a step of the event loop took on a busy machine."""
    slow = re.compile(r"^Executing <.*> took \d+\.\d+ seconds\n", re.MULTILINE)
    return slow.sub("", stderr)
