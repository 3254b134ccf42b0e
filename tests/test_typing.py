"""Type checkers pass what users write, and know the types of what they get."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .helpers import PATIENCE, ROOT

CASES = Path(__file__).parent / "typing_cases"


def check(tool: str, *arguments: object, folder: Path) -> None:
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"needs {tool}")
    command = [sys.executable, "-m", tool, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=15 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright_strict_passes_a_users_program(tmp_path: Path) -> None:
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text('{"typeCheckingMode": "strict", "include": ["."], "pythonVersion": "3.11"}')
    for case in ("typed_program.py", "typed_pipelines.py"):
        (tmp_path / case).write_text((CASES / case).read_text())
    (tmp_path / "rx_multicast_ipc").symlink_to(ROOT / "rx_multicast_ipc")
    check("pyright", "--pythonpath", sys.executable, "typed_program.py", "typed_pipelines.py", folder=tmp_path)


def test_mypy_strict_passes_a_users_program(tmp_path: Path) -> None:
    (tmp_path / "rx_multicast_ipc").symlink_to(ROOT / "rx_multicast_ipc")
    (tmp_path / "typed_program.py").write_text((CASES / "typed_program.py").read_text())
    check("mypy", "--strict", "--follow-imports=silent", "typed_program.py", folder=tmp_path)
