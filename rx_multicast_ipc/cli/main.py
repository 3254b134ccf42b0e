"""Finds the command, runs it, and turns what it raises into one line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TextIO, cast

from ..errors import InvalidArgument, MulticastError
from ..strangers.printable_text import printable
from . import PROGRAM, exit_codes
from .closed_descriptors import occupy_closed
from .ending_signals import ended_by_signals
from .help_format import HelpFormatter

if TYPE_CHECKING:
    from .output import Output

COMMANDS: Final = {
    "listen": "print the messages of a group",
    "send": "send to a group, or to one address",
    "members": "list the members of a group: channels with presence=",
    "topics": "list the topics of a group, with publishers, rates and sizes",
    "ping": "ask every listener of a group, and measure the answers",
    "bench": "measure what a group carries: rate, loss, round trips",
    "record": "write the messages of a group to a capture file",
    "replay": "send the messages of a capture file to a group",
    "spy": "watch a group, full screen",
    "bridge": "join two segments, or a segment and an engine",
    "key": "make the key of a sealed group",
    "doctor": "find out why multicast does not work",
    "completion": "print a script that completes commands and options in a shell",
}


class _Parser(ArgumentParser):
    """Repeats nothing as it was given: arguments may be names of files, which are anybody's."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


class Command(Protocol):
    """A module of this package that is named in COMMANDS."""

    def configure(self, parser: ArgumentParser) -> None:
        """Add what the command takes, a description, and examples (see :func:`.shared_arguments.examples`)."""
        ...

    def run(self, options: Namespace, output: Output) -> int:
        """Run it, and return one of :mod:`.exit_codes`. It may raise ``MulticastError``, ``OSError``, Ctrl-C."""
        ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        arguments: what follows the program's name; None takes them from ``sys.argv``.
    """
    occupy_closed()
    with ended_by_signals() as signals:
        code = _code_of(sys.argv[1:] if arguments is None else arguments)
    try:
        if sys.stderr:
            sys.stderr.flush()
    except OSError:  # with what could not be told before
        _forget(sys.stderr)
    return exit_codes.of_signal(signals[0]) if signals else code


def _code_of(arguments: Sequence[str]) -> int:
    try:
        code = _run(arguments)
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget(sys.stdout)
        return exit_codes.OK
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except InvalidArgument as error:
        return _fail(error, exit_codes.USAGE)
    except MulticastError as error:
        return _fail(error, exit_codes.FAILED)
    except OSError as error:
        _forget(sys.stdout)  # it may be what refused
        reason = error.strerror or error
        return _fail(f"{error.filename}: {reason}" if error.filename else reason, exit_codes.FAILED)
    except MemoryError:
        return _fail("there is not enough memory for this", exit_codes.FAILED)
    return code


def _run(arguments: Sequence[str]) -> int:
    name = arguments[0] if arguments else ""
    try:
        if name not in COMMANDS:
            _overview().parse_args(arguments or ["--help"])
            return exit_codes.USAGE
        command = cast("Command", import_module(f".{name}", __package__))
        parser = _Parser(prog=f"{PROGRAM} {name}", formatter_class=HelpFormatter, allow_abbrev=False)
        command.configure(parser)
        parser.epilog = f"{parser.epilog}\n{exit_codes.TOLD}"
        options = parser.parse_args(arguments[1:])
    except SystemExit as end:  # argparse has said what it had to say
        return cast("int", end.code or 0)
    from .output import Output

    with _log_to_stderr():
        return command.run(options, Output.of(options))


def _overview() -> ArgumentParser:
    """Tells which commands there are."""
    parser = _Parser(
        prog=PROGRAM,
        description="Talk, listen and look into UDP multicast groups.\n"
        "Private by default: nothing leaves this machine until an --interface is named.",
        epilog=f"'{PROGRAM} COMMAND --help' tells more, with examples.\n\n{exit_codes.TOLD}",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary)
    return parser


def _version() -> str:
    from importlib import metadata  # here, so that a command is quick to start

    try:
        return metadata.version(PROGRAM)
    except metadata.PackageNotFoundError:
        return "(not installed)"


@contextmanager
def _log_to_stderr() -> Generator[None]:
    """Write each log record of the library, such as lost messages, as one line on standard error."""
    logger = logging.getLogger("rx_multicast_ipc")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{PROGRAM}: %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _fail(reason: object, code: int) -> int:
    from .output import tell  # which loads reactivex: Ctrl-C meanwhile is to end a program that is well under way

    tell(reason)
    return code


def _forget(stream: TextIO | None) -> None:
    """Point standard output or error at nothing, so that the interpreter's flush at exit does not fail."""
    with suppress(OSError, AttributeError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), cast("TextIO", stream).fileno())
