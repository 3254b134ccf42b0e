"""Which platform this is: the only file that asks."""

from __future__ import annotations

import sys
from typing import Any, Final, Literal

Platform = Literal["linux", "darwin", "win32", "other"]
"""Linux (and Android, whose kernel it is), macOS and Windows; what is none of them cannot open UDP sockets here."""


def platform_of(name: str) -> Platform:
    """The platform that Python calls ``name``."""
    if name == "win32" or name == "darwin":
        return name
    return "linux" if name in ("linux", "android") else "other"


PLATFORM_NAME: Final = sys.platform
PLATFORM: Final = platform_of(PLATFORM_NAME)


def windows_library(name: str) -> Any:
    """A library of Windows, whose calls are ``stdcall`` where it has 32 bits. Raises ``OSError``."""
    import ctypes

    return vars(ctypes)["WinDLL"](name)
