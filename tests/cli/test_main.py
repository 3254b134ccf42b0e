"""Exit codes, closed pipes, Ctrl-C and errors, the same for every command."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

import pytest
from reactivex import operators as ops

from rx_multicast_ipc.cli.main import COMMANDS

from ..helpers import PATIENCE, ROOT, interrupt, ipc, loaded_by, needs_posix
from .helpers import PROGRAM, Listen, call, command, end, start, wait_until_listening


def test_the_console_script_and_the_module_are_the_same_program() -> None:
    script = shutil.which("rx-multicast-ipc", path=Path(sys.executable).parent)
    if script is None:
        pytest.skip("the package is not installed with its script")
    told = [subprocess.run([*run, "--help"], capture_output=True, check=True).stdout for run in ([script], PROGRAM)]
    assert told[0] == told[1] != b""


def test_without_a_command_it_tells_which_there_are() -> None:
    code, out, err = command()
    assert (code, err) == (0, "")
    for name in ("listen", "send", "ping", "spy", "doctor"):
        assert f"    {name} ".encode() in out


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_in_80_columns_and_its_examples_can_be_copied(name: str) -> None:
    code, out, _ = command(*name.split(), "--help")
    assert code == 0
    lines = out.decode().splitlines()
    assert max(map(len, lines)) <= 80
    parser = ArgumentParser()
    if name:
        import_module(f"rx_multicast_ipc.cli.{name}").configure(parser)
    written = [line.partition("  #")[0] for line in (parser.epilog or "").splitlines() if line.startswith("  $ ")]
    joined = re.sub(r" \\\n +", " ", "\n".join(lines))  # as a shell does
    assert [line.partition("  #")[0] for line in joined.splitlines() if line.startswith("  $ ")] == written


@pytest.mark.parametrize(
    "arguments",
    [
        *(["nope"], ["send", "--nope"], ["send", "--port", "x", "y"], ["listen", "--match", "("]),
        *(["listen", "--count", "0"], ["listen", "--timeout", "-1"], ["send", "--to", "nowhere", "x"]),
        *(["send", "--rate", "nan", "x"], ["send", "--lines", "--whole"], ["ping", "--interval", "0"]),
        *(["ping", "--interval", "1e99"], ["send", "--rate", "1e-99"], ["listen", "--receive-buffer", str(2**31)]),
        *(["listen", "--from", "127.0.0.1:x"], ["listen", "--from", "[::1]:65536"], ["listen", "--from", ""]),
    ],
    ids=" ".join,
)
def test_a_mistake_in_the_command_line_is_code_2_and_says_what_is_right(arguments: list[str]) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, b"")
    assert err.splitlines()[-1].startswith("rx-multicast-ipc")
    assert "error: " in err.splitlines()[-1]


@pytest.mark.parametrize("place", ["command", "option", "behind", "value"])
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_that_is_given_steers_a_terminal(name: str, place: str) -> None:
    """Arguments may be names of files, which somebody else chose."""
    steering = "\x1b]0;pwned\x07\x1b[2J\u202e\u200b\x9b\x7f"
    arguments = {
        "command": [steering],
        "option": [name, f"--{steering}"],
        "behind": [name, "one", "two", "three", steering, f"-{steering}"],
        "value": [name, "--port", steering],
    }
    code, out, err = call(*arguments[place])
    assert (code, out) == (2, b"")
    assert all(line.isprintable() for line in err.splitlines())
    assert "error: " in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["send", "--port", "99999", "x"], 2, "port must be from 1 to 65535, not 99999"),
        (["listen", "--group", "10.0.0.1"], 2, "10.0.0.1 is not a multicast address"),
        (["ping", "--interface", "nope0"], 2, "there is no interface 'nope0' here"),
        (["send", "--ttl", "3", "x"], 2, "ttl=3 would leave this machine"),
        (["send", "--to", "192.0.2.1:9", "x"], 2, "192.0.2.1 is not on this machine's loopback interface"),
        (["send", "--file", "x", "y"], 2, "DATA is sent as it is"),
        (["send", "--file", "", "y"], 2, "DATA is sent as it is"),
        (["listen", "--from", "bot.example"], 2, "--from takes the numeric IPv4 address of a sender"),
        (["listen", "--from", "[::1]:5"], 2, "--from takes the numeric IPv4 address of a sender"),
        (["bridge", "loopback", "lo", "--wide-port", "0"], 2, "port must be from 1 to 65535, not 0"),
        (["bridge", "loopback", "lo", "--wide-group", ""], 2, "'' is no IP address"),
        (["ping", "--size", "65508"], 2, "a payload of 65508 bytes does not fit in one datagram"),
        (["send", "--file", "/nowhere/at/all"], 3, "/nowhere/at/all: No such file or directory"),
    ],
)
def test_what_the_library_or_the_system_refuses_is_one_line(arguments: list[str], code: int, reason: str) -> None:
    ended, out, err = command(*arguments)
    assert (ended, out) == (code, b"")
    assert err.startswith(f"rx-multicast-ipc: {reason}")
    assert err.count("\n") == 1


def test_a_port_that_another_program_holds_alone_is_code_3(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        holder.bind(("", port))
        code, _, err = command("listen", "--port", port)
    assert code == 3
    assert f"another program holds port {port}" in err


@pytest.mark.parametrize("arguments", [["listen"], ["listen", "--respond"], ["ping", "--respond"]], ids=" ".join)
def test_ctrl_c_ends_with_130_and_says_nothing(arguments: list[str], port: int) -> None:
    process = start(*arguments, "--verbose", "--port", port)
    wait_until_listening(process)
    interrupt(process)
    assert end(process) == (130, b"", "")


@needs_posix
@pytest.mark.parametrize("arguments", [["listen"], ["listen", "--respond"], ["ping", "--respond"]], ids=" ".join)
def test_it_ends_when_the_reader_of_its_output_is_gone_though_nothing_more_arrives(
    arguments: list[str], port: int
) -> None:
    process = start(*arguments, "--verbose", "--port", port)
    wait_until_listening(process)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.communicate()


@needs_posix
def test_listen_into_head_ends_at_once(port: int) -> None:
    with subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as head:
        process = start("listen", "--json", "--verbose", "--port", port, stdout=head.stdin)
        assert head.stdin is not None
        head.stdin.close()
        wait_until_listening(process)
        ipc.run(ipc.broadcast("one message and no more", port))
        assert process.wait(PATIENCE) == 0
        assert head.stdout is not None
        assert head.stdout.read().count(b"\n") == 1
    assert end(process) == (0, b"", "")


@needs_posix
def test_a_full_disk_is_one_line_and_code_3(port: int) -> None:
    with open("/dev/full", "wb") as full:
        process = start("listen", "--verbose", "--port", port, stdout=full)
    wait_until_listening(process)
    ipc.run(ipc.broadcast("x", port))
    code, _, err = end(process)
    assert (code, err) == (3, "rx-multicast-ipc: No space left on device\n")


@needs_posix
def test_it_works_without_standard_output(port: int) -> None:
    script = f"'{sys.executable}' -m rx_multicast_ipc send --port {port} hello >&-"
    done = subprocess.run(["sh", "-c", script], capture_output=True, cwd=ROOT, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@needs_posix
@pytest.mark.parametrize(
    ("command_line", "reason"),
    [
        ("send <&-", "standard input is closed"),
        ("send --file - <&-", "standard input is closed"),
        ("replay - <&-", "standard input is closed"),
        ("record - >&-", "standard output is closed"),
        ("key >&-", "standard output is closed"),
        ("send --reply --timeout 0 <&-", "standard input is closed"),
    ],
)
def test_a_standard_stream_that_is_closed_is_told_where_it_is_needed(command_line: str, reason: str, port: int) -> None:
    """Else the next socket has its number, and is read from in its place."""
    arguments, _, redirected = command_line.rpartition(" ")
    place = "" if arguments == "key" else f"--port {port}"
    script = f"'{sys.executable}' -X dev -m rx_multicast_ipc {arguments} {place} {redirected}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, cwd=ROOT, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"rx-multicast-ipc: {reason}; name a file instead\n"


@needs_posix
def test_nothing_is_opened_in_the_place_of_a_standard_stream() -> None:
    code = (
        "import socket; from rx_multicast_ipc.cli.closed_descriptors import occupy_closed; occupy_closed();"
        "print(socket.socket().fileno() > 2)"
    )
    script = f"'{sys.executable}' -c \"{code}\" <&- 2>&-"
    done = subprocess.run(["sh", "-c", script], capture_output=True, cwd=ROOT, timeout=PATIENCE, check=False)
    assert done.stdout.split() == [b"True"]


def test_little_is_loaded_before_ctrl_c_is_caught() -> None:
    assert not loaded_by("import rx_multicast_ipc.cli.main") & {"reactivex", "msgspec", "asyncio"}


@needs_posix
def test_only_the_command_that_is_asked_for_is_loaded() -> None:
    code = "import os; from rx_multicast_ipc.cli.main import main; main(['send', '--file', os.devnull, '--lines'])"
    modules = loaded_by(code)
    assert "rx_multicast_ipc.cli.send" in modules
    assert not modules & {"rx_multicast_ipc.cli.listen", "rx_multicast_ipc.cli.doctor", "textual", "shutil"}


@needs_posix
def test_lost_messages_are_told_in_one_line(listen: Listen, port: int) -> None:
    process = listen("--receive-buffer", 4096, "--raw")
    os.kill(process.pid, signal.SIGSTOP)
    ipc.run(ipc.broadcast("x" * 1000, port).pipe(ops.repeat(100)))
    os.kill(process.pid, signal.SIGCONT)
    assert process.stderr is not None
    line = process.stderr.readline().decode()
    assert line.startswith(f"rx-multicast-ipc: 224.0.2.1:{port} on loopback: the kernel dropped ")
