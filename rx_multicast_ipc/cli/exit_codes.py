"""Exit codes, the same for every command."""

from __future__ import annotations

from typing import Final

OK: Final = 0
NOTHING: Final = 1
USAGE: Final = 2
FAILED: Final = 3
INTERRUPTED: Final = 130

_SIGNAL: Final = 128

TOLD: Final = """\
exit codes:
  0    done; also when the reader of a pipe has had enough
  1    it ran, and the answer is no: nothing matched, nobody answered, something was lost or is wrong
  2    a mistake in the command line
  3    the system refused: the sockets, a send, a file
  130  interrupted with Ctrl-C; 143 by SIGTERM, 129 by SIGHUP, which end it in the same way
"""


def of_signal(number: int) -> int:
    """The code of a command that a signal ended."""
    return _SIGNAL + number
