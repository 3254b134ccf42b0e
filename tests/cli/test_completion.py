"""Completion in a shell offers what the commands take."""

from __future__ import annotations

import re
import shutil
import subprocess
from argparse import ArgumentParser
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from rx_multicast_ipc.cli.main import COMMANDS

from ..helpers import PATIENCE, needs_linux
from .helpers import command

pytestmark = needs_linux

LINES = {
    "li": {"listen"},
    "listen --de": {"--decode"},
    "listen --decode ": {"json", "msgpack"},
    "listen --decode m": {"msgpack"},
    "send --encode j": {"json"},
    "listen --interface loop": {"loopback"},
    "ping -i l": {"lo", "loopback"},
    "replay --longest": {"--longest-gap"},
    "replay notes-of-to": {"notes-of-today.pcap"},
    "send --file notes-of-to": {"notes-of-today.pcap"},
    "completion f": {"fish"},
    "listen --count notes-of-to": set[str](),
    "nonsense --de": set[str](),
}

BASH = """
source ./script
COMP_WORDS=(rx-multicast-ipc $1)
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_rx_multicast_ipc
printf '%s\\n' "${COMPREPLY[@]}"
"""

ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PROMPT=; stty -echo; unsetopt zle_bracketed_paste; autoload -Uz compinit && compinit -u -D; . ./script'
zpty -w shell '_show() { print -r -- "[[$BUFFER]]"; exit }; zle -N _show; bindkey ^X _show; bindkey ^I complete-word'
zpty -w shell 'setopt no_beep; print READY'
while zpty -r shell line; do [[ $line == READY* ]] && break; done
zpty -w -n shell "rx-multicast-ipc $1"$'\\t\\x18'
while zpty -r shell line; do print -r -- "$line"; [[ $line == *\\]\\]* ]] && break; done
"""
"""Types a line, Tab, and a key that shows what became of the line."""


@cache
def script(shell: str) -> bytes:
    code, out, err = command("completion", shell)
    assert (code, err) == (0, "")
    return out


def ran(shell: str, code: str, line: str, place: Path) -> str:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    (place / "script").write_bytes(script(shell))
    (place / "notes-of-today.pcap").touch()
    arguments = {
        "bash": ["--norc", "-c", code, "-"],
        "zsh": ["-f", "-c", code, "-"],
        "fish": ["--no-config", "-c", code],
    }
    ended = subprocess.run(
        [program, *arguments[shell], line],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={"HOME": str(place), "PATH": "/usr/bin:/bin", "TERM": "dumb"},
    )
    return ended.stdout


def offered(shell: str, line: str, place: Path) -> set[str]:
    code = BASH if shell == "bash" else 'source ./script; complete -C "rx-multicast-ipc $argv[1]"'
    return {text.partition("\t")[0] for text in ran(shell, code, line, place).splitlines() if text}


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize(("line", "expected"), LINES.items(), ids=[repr(line) for line in LINES])
def test_a_shell_offers_what_may_stand_there(shell: str, line: str, expected: set[str], tmp_path: Path) -> None:
    assert offered(shell, line, tmp_path) == expected


@pytest.mark.parametrize(
    ("line", "completed"),
    [(line, LINES[line]) for line in ("li", "listen --decode m", "listen --interface loop", "send --file notes-of-to")],
)
def test_zsh_completes_what_begins_so(line: str, completed: set[str], tmp_path: Path) -> None:
    shown = re.search(r"\[\[(.*?)\]\]", ran("zsh", ZSH, line, tmp_path))
    assert shown is not None
    before = line.rpartition(" ")[0]
    assert {shown[1].removeprefix("rx-multicast-ipc ").removeprefix(before).strip()} == completed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_long_option_of_every_command_is_offered(name: str, tmp_path: Path) -> None:
    parser = ArgumentParser()
    import_module(f"rx_multicast_ipc.cli.{name}").configure(parser)
    told = {"--help"} | {
        word.strip("[],") for word in parser.format_usage().split() if word.strip("[]").startswith("--")
    }
    assert told <= offered("bash", f"{name} --", tmp_path)


def test_a_shell_that_is_not_known_is_a_mistake() -> None:
    code, _, err = command("completion", "tcsh")
    assert code == 2
    assert "bash" in err
