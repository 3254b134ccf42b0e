"""A capture file's bytes, from its start to its end."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from io import BufferedReader, FileIO
from typing import Any, Final, cast

from ..errors import CaptureCorrupt, CaptureFailed
from .standard_streams import open_file

_BUFFER: Final = 1 << 20
"""Bytes that are read at once: all that is ever held of a file, but for one record."""

_GZIP: Final = b"\x1f\x8b"


class Source:
    """An open capture file, and where its next record begins. One that gzip(1) made is unpacked on the way.

    Args:
        path: the file. What cannot be rewound, such as ``/dev/stdin``, can be read too.

    Attributes:
        position: bytes from the start of the file, as unpacked, to the record that is next.
        size: bytes of the whole file; None if that is not known, as of a pipe or of what is compressed.

    Raises:
        CaptureFailed: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.position = 0
        try:
            self._file = BufferedReader(FileIO(path, "rb", opener=open_file), _BUFFER)
        except OSError as error:
            raise self.failed(error) from error
        try:
            about = os.fstat(self._file.fileno())
            packed = self._file.peek(len(_GZIP))[: len(_GZIP)] == _GZIP
        except OSError as error:
            self._file.close()
            raise self.failed(error) from error
        self.size = about.st_size if stat.S_ISREG(about.st_mode) and not packed else None
        self.read = self._unpack if packed else self._file.read
        """Takes a number of bytes and returns them, fewer at the end of the file only; raises ``OSError``."""
        self._unpacked = BufferedReader(cast(Any, gzip.GzipFile(fileobj=self._file)), _BUFFER) if packed else None

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

    def _unpack(self, size: int) -> bytes:
        assert self._unpacked is not None
        try:
            return self._unpacked.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self.corrupt(f"the compressed file is cut or damaged here: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
