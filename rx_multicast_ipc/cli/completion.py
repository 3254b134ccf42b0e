"""``completion``: prints a script that completes commands, options and values in a shell."""

from __future__ import annotations

import re
from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from shlex import quote
from typing import Any, Final, NamedTuple

from ..group import ALL_INTERFACES, DEFAULT_INTERFACE, LOOPBACK
from . import PROGRAM, exit_codes
from .output import Output
from .shared_arguments import examples

_FILES: Final = {"FILE", "PATH"}
"""Placeholders of arguments that are files."""

_FIRST_CLAUSE: Final = re.compile(r"[^;:(]+?(?=;|:| \(|\. |$)")
"""Of a help text: more does not fit beside what is completed."""

_FUNCTION: Final = "_rx_multicast_ipc"

_INTERFACES: Final = "ls /sys/class/net 2>/dev/null || ifconfig -l 2>/dev/null"
"""Prints what interfaces there are, on Linux and on macOS."""


class Argument(NamedTuple):
    """What one command takes.

    Attributes:
        flags: its names; none for one that has its place.
        help: what it is, in short.
        takes_value: whether a value follows.
        files: whether that is a file.
        interface: whether that is an interface.
        choices: what else it may be, where that is known.
    """

    flags: tuple[str, ...]
    help: str
    takes_value: bool
    files: bool
    interface: bool
    choices: tuple[str, ...]

    @classmethod
    def of(cls, action: Action) -> Argument:
        """The argument of an argparse action."""
        metavar = action.metavar if isinstance(action.metavar, str) else (action.dest or "").upper()
        parameters: Mapping[str, Any] = {"default": action.default, "prog": PROGRAM, "dest": action.dest}
        interface = action.dest == "interface"
        choices = (LOOPBACK, DEFAULT_INTERFACE, ALL_INTERFACES) if interface else tuple(map(str, action.choices or ()))
        said = " ".join(((action.help or "") % parameters).split())
        brief = _FIRST_CLAUSE.match(said)
        text = brief[0] if brief else said
        return cls(tuple(action.option_strings), text, action.nargs != 0, metavar in _FILES, interface, choices)


Commands = Mapping[str, tuple[str, list[Argument]]]
"""Each command's summary and arguments."""


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Print a script that makes a shell complete commands, options and values. It is made of the commands as they "
        "are, and starts no Python when it completes."
    )
    parser.epilog = examples(
        "rx-multicast-ipc completion bash > completion.bash  # then, in ~/.bashrc: source .../completion.bash",
        "rx-multicast-ipc completion zsh > _rx-multicast-ipc  # in a directory of $fpath",
        "rx-multicast-ipc completion fish > rx-multicast-ipc.fish  # in ~/.config/fish/completions",
    )
    parser.add_argument("shell", metavar="SHELL", choices=tuple(_SHELLS), help="bash, zsh or fish")


def run(options: Namespace, output: Output) -> int:
    output.lines(_SHELLS[options.shell](_commands()))
    return exit_codes.OK


def _commands() -> Commands:
    from .main import COMMANDS  # which imports this one when it is asked for

    found: dict[str, tuple[str, list[Argument]]] = {}
    for name, summary in COMMANDS.items():
        parser = ArgumentParser(prog=PROGRAM)
        import_module(f".{name}", __package__).configure(parser)
        actions = parser._actions  # pyright: ignore[reportPrivateUsage]  # argparse has no other way to tell
        found[name] = summary, [Argument.of(action) for action in actions if action.help != SUPPRESS]
    return found


def _bash(commands: Commands) -> Iterator[str]:
    yield f"# bash completion of {PROGRAM}"
    yield f"{_FUNCTION}() {{"
    yield '  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=""'
    yield "  COMPREPLY=()"
    yield "  if ((COMP_CWORD == 1)); then"
    yield f'    words="{" ".join(commands)} --help --version"'
    yield "  else case ${COMP_WORDS[1]} in"
    for name, (_, arguments) in commands.items():
        options = [argument for argument in arguments if argument.flags]
        places = [argument for argument in arguments if not argument.flags]
        yield f"    {name}) case $previous in"
        for option in options:
            if option.takes_value:
                yield f"      {'|'.join(option.flags)}) {_bash_values(option)};;"
        flags = " ".join(flag for option in options for flag in option.flags if flag.startswith("--"))
        yield "      *) if [[ $current == -* ]]; then"
        yield f'           words="{flags}"'
        yield f"         else {_bash_values(places[0]) if places else ':'}; fi;;"
        yield "    esac;;"
    yield "  esac; fi"
    yield '  [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$current"))'
    yield "}"
    yield f"complete -o filenames -F {_FUNCTION} {PROGRAM}"


def _bash_values(argument: Argument) -> str:
    if argument.files:
        return 'COMPREPLY=($(compgen -f -- "$current")); return'
    names = f" $({_INTERFACES})" if argument.interface else ""
    return f'words="{" ".join(argument.choices)}{names}"'


def _zsh(commands: Commands) -> Iterator[str]:
    yield f"#compdef {PROGRAM}"
    yield f"{_FUNCTION}() {{"
    yield "  local -a commands"
    yield "  commands=("
    for name, (summary, _) in commands.items():
        yield f"    {quote(f'{name}:{summary}')}"
    yield "  )"
    yield "  if ((CURRENT == 2)); then _describe command commands; return; fi"
    yield "  local command=$words[2]"
    yield "  shift words; ((CURRENT--))"
    yield "  case $command in"
    for name, (_, arguments) in commands.items():
        yield f"    {name}) _arguments -s \\"
        yield from (f"      {quote(spec)} \\" for argument in arguments for spec in _zsh_specs(argument))
        yield "      ;;"
    yield "  esac"
    yield "}"
    yield f'if [[ $funcstack[1] == _{PROGRAM} ]]; then {_FUNCTION} "$@"; else compdef {_FUNCTION} {PROGRAM}; fi'


def _zsh_specs(argument: Argument) -> Iterator[str]:
    names = f" $({_INTERFACES})" if argument.interface else ""
    values = "_files" if argument.files else f"({' '.join(argument.choices)}{names})" if argument.choices else " "
    if argument.interface:
        values = f"{{compadd {' '.join(argument.choices)} $({_INTERFACES})}}"
    help_text = re.sub(r"([\[\]:\\])", r"\\\1", argument.help)
    if not argument.flags:
        yield f"*:{help_text}:{values}"
    for flag in argument.flags:
        yield f"{flag}[{help_text}]" + (f": :{values}" if argument.takes_value else "")


def _fish(commands: Commands) -> Iterator[str]:
    yield f"# fish completion of {PROGRAM}"
    yield f"complete -c {PROGRAM} -f"
    for name, (summary, _) in commands.items():
        yield f"complete -c {PROGRAM} -n __fish_use_subcommand -a {name} -d {_fish_quote(summary)}"
    for name, (_, arguments) in commands.items():
        for argument in arguments:
            parts = [f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {name}'"]
            parts += [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in argument.flags]
            if argument.takes_value and argument.flags:
                parts.append("-r" if argument.files else "-x")
            if argument.files:
                parts.append("-F")
            if argument.choices:
                names = f" ({_INTERFACES.replace('||', '; or')})" if argument.interface else ""
                parts.append(f"-a {_fish_quote(' '.join(argument.choices) + names)}")
            if argument.flags or argument.files or argument.choices:
                yield " ".join([*parts, f"-d {_fish_quote(argument.help)}"])


def _fish_quote(text: str) -> str:
    """Quoted for fish, which knows these two escapes in single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_SHELLS: Final[Mapping[str, Callable[[Commands], Iterator[str]]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
