"""Tells PyInstaller what a program needs of this package that is loaded by name, or is no Python: nothing else does."""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    """Where the hooks are (PyInstaller's entry point ``hook-dirs``)."""
    return [str(Path(__file__).parent)]
