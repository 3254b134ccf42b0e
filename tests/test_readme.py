"""What the README shows is what happens."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc

from .documents import Block, blocks
from .helpers import PATIENCE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")

ONE_SIDED = "I am online!"
"""Marks the block that shows one side of a conversation: the test speaks for the other."""


@pytest.mark.parametrize("block", blocks(ROOT / "README.md"), ids=lambda block: f"line {block.line}")
def test_the_readmes_code_runs_and_prints_what_it_says(block: Block, tmp_path: Path) -> None:
    with ipc.open_channel() as channel:
        process = subprocess.Popen(block.command(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if ONE_SIDED in block.code:
            ipc.run(channel.wait_for_message(lambda m: m.text == ONE_SIDED, timeout=PATIENCE))
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, ""), out
    if block.output is not None:
        assert out == block.output


def test_every_name_of_a_channel_is_in_the_readmes_table() -> None:
    names = {name for name in vars(ipc.Channel) if not name.startswith("_")}
    told_elsewhere = {"group", "sender_address", "closed", "transport"}
    assert {name for name in names if f"`{name}" not in README} <= told_elsewhere
