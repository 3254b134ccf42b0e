"""Standard input, output and error where the program was started without them."""

from __future__ import annotations

import os
import sys
from typing import Final, Literal

from ..errors import InvalidOption

_FLAGS: Final = (os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)
"""By descriptor: the other way round, so that who reads or writes all the same is told that it is not open."""


def occupy_closed() -> None:
    """Open something in the place of each that is closed: else the next socket is, and is read as standard input.

    As daemons do, and OpenSSH (``sanitise_stdfd``). ``sys.stdin`` and the others stay None.
    """
    for number, flags in enumerate(_FLAGS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free, which is this one


def check_open(which: Literal["input", "output"]) -> None:
    """Raise ``InvalidOption`` where what a command line names is closed."""
    if (sys.stdin if which == "input" else sys.stdout) is None:
        raise InvalidOption(f"standard {which} is closed; name a file instead")
