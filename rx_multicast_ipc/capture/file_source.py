"""A capture file's bytes, from its start to its end."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from typing import IO, Any, Final

from ..errors import CaptureCorrupt, CaptureFailed

_BUFFER: Final = 1 << 20
"""Bytes that are read at once: all that is ever held of a file, but for one record."""


_GZIP: Final = b"\x1f\x8b"
_FREE: Final = 64 << 20
_MOST_RATIO: Final = 256
"""Bytes that a byte of a compressed file may become, beyond the first ones: no capture has more."""


class Source:
    """An open capture file, and where its next record begins.

    Args:
        path: the file. What cannot be rewound, such as ``/dev/stdin``, can be read too.

    Attributes:
        position: bytes from the start of the file, unpacked if it is a gzip file, to the record that is next.
        size: bytes of the whole file; None if that is not known, as of a pipe or a gzip file.

    Raises:
        CaptureFailed: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.position = 0
        try:
            self._file = io.BufferedReader(io.FileIO(path), _BUFFER)
            about = os.fstat(self._file.fileno())
            compressed = self._file.peek(2)[:2] == _GZIP
        except OSError as error:
            raise self.failed(error) from error
        self.size = about.st_size if stat.S_ISREG(about.st_mode) and not compressed else None
        self.read = _Unpacked(self, self._file).read if compressed else self._file.read
        """Takes a number of bytes and returns them, fewer at the end of the file only; raises ``OSError``."""

    def corrupt(self, reason: str) -> CaptureCorrupt:
        """The error that ends the reading at the record that is next."""
        return CaptureCorrupt(self.path, self.position, reason)

    def failed(self, error: OSError) -> CaptureFailed:
        """``error`` as one of this library's."""
        return CaptureFailed(f"cannot read {self.path}: {error.strerror or error}; check the path and its permissions")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class _Unpacked:
    """A gzip file (RFC 1952), unpacked a buffer at a time."""

    def __init__(self, source: Source, file: IO[bytes]) -> None:
        self._source = source
        self._packed = _Counted(file)
        readable: Any = self._packed
        self._file = gzip.GzipFile(fileobj=readable, mode="rb")
        self._unpacked = 0

    def read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._source.corrupt(f"the gzip file is cut or damaged: {error}") from error
        self._unpacked += len(data)
        if self._unpacked > _FREE + _MOST_RATIO * self._packed.count:
            raise self._source.corrupt(
                "the gzip file unpacks to more than any capture; unpack it with gunzip to read it"
            )
        return data


class _Counted:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.count += len(data)
        return data
