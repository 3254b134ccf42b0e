"""What the guides show is what happens."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .documents import Block, blocks, complaints
from .helpers import PATIENCE, ROOT

GUIDES = sorted((ROOT / "docs").rglob("*.md"))

BLOCKS = [
    pytest.param(block, guide, id=f"{guide.relative_to(ROOT / 'docs')} line {block.line}")
    for guide in GUIDES
    for block in blocks(guide)
]


@pytest.mark.parametrize(("block", "guide"), BLOCKS)
def test_the_guides_code_runs_and_prints_what_it_says(block: Block, guide: Path, tmp_path: Path) -> None:
    for other in blocks(guide):
        if other.file:
            (tmp_path / other.file).write_text(other.code, encoding="utf-8")
    result = subprocess.run(
        block.command(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=3 * PATIENCE, check=False
    )
    fails = block.output is not None and "Error" in block.output
    assert (result.returncode, complaints(result.stderr)) == (int(fails), ""), result.stdout
    if block.output is not None:
        assert block.output in result.stdout
