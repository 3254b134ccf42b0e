"""A capture file's bytes, from its start to its end."""

from __future__ import annotations

import os
import stat
from typing import Final

from ..errors import CaptureCorrupt, CaptureFailed

_BUFFER: Final = 1 << 20
"""Bytes that are read at once: all that is ever held of a file, but for one record."""


class Source:
    """An open capture file, and where its next record begins.

    Args:
        path: the file. What cannot be rewound, such as ``/dev/stdin``, can be read too.

    Attributes:
        position: bytes from the start of the file to the record that is next.
        size: bytes of the whole file; None if it has no end that is known.

    Raises:
        CaptureFailed: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.position = 0
        try:
            self._file = open(path, "rb", buffering=_BUFFER)  # noqa: SIM115
            about = os.fstat(self._file.fileno())
        except OSError as error:
            raise self.failed(error) from error
        self.size = about.st_size if stat.S_ISREG(about.st_mode) else None
        self.read = self._file.read
        """Takes a number of bytes and returns them, fewer at the end of the file only; raises ``OSError``."""

    def skip(self, size: int) -> int:
        """Read so many bytes and keep none; returns how many there were."""
        left = size
        while left and (passed := len(self.read(min(left, _BUFFER)))):
            left -= passed
        return size - left

    def corrupt(self, reason: str) -> CaptureCorrupt:
        """The error that ends the reading at the record that is next."""
        return CaptureCorrupt(self.path, self.position, reason)

    def failed(self, error: OSError) -> CaptureFailed:
        """``error`` as one of this library's."""
        return CaptureFailed(f"cannot read {self.path}: {error.strerror or error}; check the path and its permissions")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
