"""What the guides show is what happens."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .documents import Block, Terminals, blocks_to_run, complaints, skip_without_what_it_imports, terminals, write_files
from .helpers import PATIENCE, ROOT, thorough

pytestmark = thorough

GUIDES = sorted((ROOT / "docs").rglob("*.md"))


def place(guide: Path, line: int) -> str:
    return f"{guide.relative_to(ROOT)} line {line}"


@pytest.mark.parametrize(
    ("block", "guide"),
    [pytest.param(each, guide, id=place(guide, each.line)) for guide in GUIDES for each in blocks_to_run(guide)],
)
def test_the_guides_code_runs_and_prints_what_it_says(block: Block, guide: Path, tmp_path: Path) -> None:
    write_files(guide, tmp_path)
    skip_without_what_it_imports(block.code, tmp_path)
    result = subprocess.run(
        block.command(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=3 * PATIENCE, check=False
    )
    fails = block.output is not None and "Error" in block.output
    assert (result.returncode, complaints(result.stderr)) == (int(fails), ""), result.stdout
    if block.output is not None:
        assert block.output in result.stdout


@pytest.mark.parametrize(
    ("shown", "guide"),
    [
        pytest.param(each, guide, id=place(guide, each.line))
        for guide in [ROOT / "README.md", *GUIDES]
        for each in terminals(guide)
    ],
)
def test_programs_in_several_terminals_talk_as_the_guide_says(shown: Terminals, guide: Path, tmp_path: Path) -> None:
    write_files(guide, tmp_path)
    shown.run(tmp_path)
