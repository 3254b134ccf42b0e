"""docs/command-line.md tells of every command, option and finding that there is."""

from __future__ import annotations

import re
from argparse import SUPPRESS, ArgumentParser
from importlib import import_module

import pytest

from rx_multicast_ipc.cli.main import COMMANDS

from ..helpers import ROOT

SHARED, *SECTIONS = re.split(r"^## ", (ROOT / "docs" / "command-line.md").read_text("utf-8"), flags=re.MULTILINE)


def section_of(command: str) -> str:
    """What the page says of a command: below its heading, which may name several, or before the first one."""
    return "".join(text for text in SECTIONS if re.search(rf"\b{command}\b", text.partition("\n")[0]))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_tells_of_every_option(command: str) -> None:
    parser = ArgumentParser()
    import_module(f"rx_multicast_ipc.cli.{command}").configure(parser)
    text = SHARED + section_of(command)
    shown = (action for action in parser._actions if action.help != SUPPRESS and action.dest != "help")
    options = {option for action in shown for option in action.option_strings if option.startswith("--")}
    assert {option for option in options if not re.search(rf"{option}(?![\w-])", text)} == set()
    assert f"rx-multicast-ipc {command}" in text


def test_the_page_tells_of_every_finding_of_the_doctor() -> None:
    sources = (ROOT / "rx_multicast_ipc" / "cli" / "doctor").glob("*.py")
    code = "".join(source.read_text("utf-8") for source in sources)
    findings = set(re.findall(r"\b(?:fault|warning|note)\(\s*\"([a-z0-9-]+)\"", code))
    assert "unproved" in findings
    assert {finding for finding in findings if f"`{finding}`" not in section_of("doctor")} == set()
