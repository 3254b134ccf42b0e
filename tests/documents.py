"""Code that documents show, and ways to run it as a reader would."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

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

    Attributes:
        line: where it begins.
        commands: each a file of the document or a line for ``rx-multicast-ipc``, with arguments.
        output: what the first one prints, among other things.
    """

    line: int
    commands: list[list[str]]
    output: str

    def run(self, folder: Path) -> None:
        """Run them until the first one printed what it should, and interrupt it if it still runs.

        The others begin once more when they end, for one that speaks may be done before the first one listens.
        """
        heard = folder / "heard.txt"
        with heard.open("w") as out, (folder / "complaints.txt").open("w") as err, ExitStack() as stack:

            def start(command: list[str], out: IO[str] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
                name, *arguments = command
                program = [name] if name.endswith(".py") else ["-m", name.replace("-", "_")]
                line = [sys.executable, "-X", "dev", "-W", "error", "-u", *program, *arguments]
                environment = {**os.environ, "PYTHONPATH": str(ROOT)}
                process = subprocess.Popen(line, cwd=folder, env=environment, stdout=out, stderr=err)
                stack.callback(process.wait)
                stack.callback(process.kill)
                return process

            first = start(self.commands[0], out)
            others = [(command, start(command)) for command in self.commands[1:]]

            def all_was_heard() -> bool:
                if self.output in heard.read_text("utf-8"):
                    return True
                for at, (command, process) in enumerate(others):
                    if process.poll() is not None:
                        assert process.returncode == 0, command
                        others[at] = command, start(command)
                return first.poll() is not None

            wait_until(all_was_heard)
            first.send_signal(signal.SIGINT)
            first.wait(PATIENCE)
        assert self.output in heard.read_text("utf-8")
        said = (folder / "complaints.txt").read_text("utf-8").splitlines()
        assert said == [] or said[-1].startswith("KeyboardInterrupt"), said


def terminals(document: Path) -> list[Terminals]:
    """What a document shows in several terminals."""
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"^<!-- terminals: (.+) -->\n```text\n(.*?)^```\n", text, re.MULTILINE | re.DOTALL)
    return [
        Terminals(text[: match.start()].count("\n") + 1, [*map(shlex.split, match[1].split(" | "))], match[2])
        for match in found
    ]


def write_files(document: Path, folder: Path) -> None:
    """Put the files that a document shows into a folder."""
    for block in blocks(document):
        if block.file:
            (folder / block.file).write_text(block.code, encoding="utf-8")


def blocks_to_run(document: Path) -> list[Block]:
    """The Python of a document that runs by itself."""
    beside_others = {command[0] for shown in terminals(document) for command in shown.commands}
    return [block for block in blocks(document) if block.file not in beside_others]


def blocks(document: Path) -> list[Block]:
    """The Python of a document, each block with the text block right behind it."""
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", text, re.MULTILINE | re.DOTALL)
    return [Block(text[: match.start()].count("\n") + 1, match[1], match[2]) for match in found]


def complaints(stderr: str) -> str:
    """What a block wrote there, but not how long a step of the event loop took on a busy machine."""
    slow = re.compile(r"^Executing <.*> took \d+\.\d+ seconds\n", re.MULTILINE)
    return slow.sub("", stderr)
