"""What Wine does other than Windows. A test that cannot pass for it is marked ``wine_fault``, with the fault's name.

``test_wine.py`` shows each fault with plain calls, without this package.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

import pytest

MARKER: Final = "wine_fault"

FAULTS: Final = {
    "groups of others": "a socket hears every group that anybody on the machine joined on its port",
    "sources": "a join with sources is refused: the addresses reach Linux in the order of Windows",
    "symbolic links": "os.symlink() makes none, and says nothing",
}


def is_wine() -> bool:
    """Whether this Windows is Wine."""
    return sys.platform == "win32" and hasattr(ctypes.windll.ntdll, "wine_get_version")


def configure(config: pytest.Config) -> None:
    """Make the marker known. With ``shown=True`` the test is run, and has to fail."""
    config.addinivalue_line("markers", f"{MARKER}(name): cannot pass under Wine, whose fault it is (tests/wine.py)")


def expect(item: pytest.Item) -> None:
    """Let a test that is marked fail, under Wine."""
    for mark in item.iter_markers(MARKER):
        item.add_marker(_mark(*mark.args, **mark.kwargs))


def expect_of(request: pytest.FixtureRequest, name: str) -> None:
    """The same, for the test that is running."""
    request.applymarker(_mark(name))


def _mark(name: str, *, shown: bool = False) -> pytest.MarkDecorator:
    return pytest.mark.xfail(is_wine(), reason=f"Wine: {FAULTS[name]}", strict=shown, run=shown)
