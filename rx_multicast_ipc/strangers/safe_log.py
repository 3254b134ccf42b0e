"""The library's logger. Its records are printable whatever was put into them."""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress
from typing import Final

from .printable_text import printable

LOGGER: Final = "rx_multicast_ipc"


class PrintableRecords(logging.Filter):
    """Makes what a record says one printable line, and its traceback printable lines.

    Errors hold what strangers sent: a decoder's error names the field that it did not expect. Lines that such a text
    adds to a traceback are indented, so that none of them can pass for a record of its own.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record if it has to be; every record passes."""
        with suppress(Exception):  # logging tells by itself of arguments that do not fit
            message = record.getMessage()
            safe = printable(message)
            if safe != message:
                record.msg, record.args = safe, None
            error = record.exc_info[1] if record.exc_info else None
            if error is not None and not record.exc_text:
                parts = traceback.format_exception(error)
                safe_parts = [_printable_part(part) for part in parts]
                if safe_parts != parts:
                    record.exc_text = "".join(safe_parts).rstrip("\n")
        return True


def _printable_part(part: str) -> str:
    if part[:1].isspace():  # frames, which begin with their file, and the words between an error and its cause
        return printable(part, keep="\n")
    first, *others = part.rstrip("\n").split("\n")
    return "".join(f"{printable(line)}\n" for line in [first, *(f"    {line}" for line in others)])


def install() -> None:
    """Put the filter on the library's logger, once a process."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(found, PrintableRecords) for found in logger.filters):
        logger.addFilter(PrintableRecords())
