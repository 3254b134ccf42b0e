"""``key``: makes the key of a sealed group."""

from __future__ import annotations

import os
import stat
import sys
from argparse import ArgumentParser, Namespace
from contextlib import suppress

from ..option_values.key import Key
from . import exit_codes
from .closed_descriptors import check_open
from .output import Output, is_terminal, tell
from .shared_arguments import examples


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Make a random key, and write it to FILE, or to standard output, for its owner alone to read (mode 0600). Who "
        "has the key of a group reads all that is sealed with it, and can forge it. Copy the file to the other members "
        "by a way that nobody looks into."
    )
    parser.epilog = examples(
        "rx-multicast-ipc key > group.key",
        "rx-multicast-ipc key other.key  # the same, and never replaces a file",
        "rx-multicast-ipc key my.key && rx-multicast-ipc key --hint my.key  # tells which it is",
        "rx-multicast-ipc key > g.key && rx-multicast-ipc send --key g.key 'for members alone'",
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="a file that is not there yet")
    parser.add_argument("--hint", metavar="FILE", help="do not make a key: print the hint of the one in this file")


def run(options: Namespace, output: Output) -> int:
    if options.hint is not None:
        output.lines([Key.from_file(options.hint).hint])
        return exit_codes.OK
    if options.file is not None:
        Key.new().save(options.file)
        return exit_codes.OK
    check_open("output")
    if is_terminal():
        tell("a key on a terminal stays there for others to see; write it to a file: rx-multicast-ipc key > group.key")
        return exit_codes.USAGE
    _make_private()
    output.lines(Key.new().reveal().splitlines())
    return exit_codes.OK


def _make_private() -> None:
    """Let nobody but its owner read the file that standard output goes to, before anything is in it."""
    if os.name != "posix" or sys.stdout is None:
        return
    with suppress(OSError, ValueError):  # no file of ours: who redirected it knows whose
        descriptor = sys.stdout.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)
