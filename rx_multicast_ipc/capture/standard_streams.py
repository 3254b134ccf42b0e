"""``/dev/stdin`` and ``/dev/stdout`` as names of files, also on Windows, which has none of these."""

from __future__ import annotations

import os
from typing import Final

_DESCRIPTORS: Final = {"/dev/stdin": 0, "/dev/stdout": 1}


def open_file(path: str, flags: int, mode: int = 0o600) -> int:
    """A descriptor for what ``path`` names, as of :func:`os.open`. Raises ``OSError``."""
    if os.name == "nt" and path in _DESCRIPTORS:
        return os.dup(_DESCRIPTORS[path])
    return os.open(path, flags, mode)
