"""The code of docs/transports.md does what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .helpers import PATIENCE, ROOT

PAGE = (ROOT / "docs" / "transports.md").read_text(encoding="utf-8")
FILES: dict[str, tuple[str, str | None]] = {
    match[1]: (match[2], match[3])
    for match in re.finditer(r"^```python\n# (\w+\.py)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", PAGE, re.M | re.S)
}


@pytest.mark.parametrize("name", FILES)
def test_the_pages_code_runs_and_prints_what_it_says(name: str, tmp_path: Path) -> None:
    for other, (code, _) in FILES.items():
        (tmp_path / other).write_text(code)
    pytest_options = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"] if name.startswith("test_") else []
    command = [sys.executable, *pytest_options, name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=3 * PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    if FILES[name][1] is not None:
        assert done.stdout == FILES[name][1]


def test_every_block_of_python_is_a_file_that_was_run() -> None:
    assert PAGE.count("```python") == len(FILES) == 5
