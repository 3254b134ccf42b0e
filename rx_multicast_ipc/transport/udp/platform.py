"""Which platform this is: the only file that asks."""

from __future__ import annotations

import sys
from typing import Final, Literal

Platform = Literal["linux", "darwin", "win32"]

PLATFORM: Final[Platform] = "win32" if sys.platform == "win32" else "darwin" if sys.platform == "darwin" else "linux"
