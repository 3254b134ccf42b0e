"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc

from .documents import Block, blocks_to_run, complaints
from .helpers import PATIENCE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", blocks_to_run(ROOT / "README.md"), ids=lambda block: f"line {block.line}")
def test_the_readmes_code_runs_and_prints_what_it_says(block: Block, tmp_path: Path) -> None:
    result = subprocess.run(
        block.command(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=3 * PATIENCE, check=False
    )
    assert (result.returncode, complaints(result.stderr)) == (0, ""), result.stdout
    if block.output is not None:
        assert result.stdout == block.output


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 250


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_what_is_there(document: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_map_of_the_packages_names_every_place_once_and_none_that_is_gone() -> None:
    package = ROOT / "rx_multicast_ipc"
    named: list[Path] = []
    for row in re.findall(r"^\| (`[^|]+) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M):
        names = re.findall(r"`([^`]+)`", row)
        if (package / names[0]).exists():  # a row of the map, whose other names are beside the first
            named += [package / names[0], *((package / names[0]).parent / name for name in names[1:])]
    assert [path for path in named if not path.exists()] == []

    places = {path for folder in (package, package / "transport") for path in folder.iterdir()}
    places -= {package / "transport", package / "py.typed", package / "__init__.py", package / "transport/__init__.py"}
    assert sorted(named) == sorted(path for path in places if path.name != "__pycache__")


def test_every_name_of_a_channel_is_in_the_readmes_table() -> None:
    names = {name for name in vars(ipc.Channel) if not name.startswith("_")}
    told_elsewhere = {"group", "sender_address", "closed", "transport", "made_in"}
    assert {name for name in names if f"`{name}" not in README} <= told_elsewhere
