"""``record`` writes what a group says, and tells exactly what it missed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from reactivex import operators as ops

from rx_multicast_ipc.capture import Reader

from ..helpers import PATIENCE, interrupt, ipc, needs_posix, shown_on, terminal, wait_until
from .helpers import PROGRAM, command, end, records, start, wait_until_listening


def payloads(path: Path) -> list[bytes]:
    with Reader(path) as reader:
        return [message.data for message, _ in reader]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recorded.pcap"


def recording(path: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """The command, listening."""
    process = start("record", path, "--verbose", *arguments)
    wait_until_listening(process)
    wait_until(path.exists)
    return process


def test_it_ends_after_so_many_messages_and_tells_how_many_it_wrote(path: Path, port: int) -> None:
    process = recording(path, "--port", port, "--count", 3)
    with ipc.open_channel(port) as channel:
        ipc.run(channel.broadcast_all([b"", b"two", b"three", b"four"]))
        sender = channel.sender_address
    code, out, err = end(process)
    (told,) = records(out)
    assert (code, err) == (0, "")
    missed = 0 if sys.platform == "linux" else None  # which alone tells
    assert (told["written"], told["bytes"], told["missed"], told["file"]) == (3, 8, missed, str(path))
    with Reader(path) as reader:
        assert [(m.data, m.sender, to) for m, to in reader] == [
            (data, sender, ("224.0.2.1", port)) for data in (b"", b"two", b"three")
        ]


def test_ctrl_c_ends_it_well(path: Path, port: int) -> None:
    process = recording(path, "--port", port)
    ipc.run(ipc.broadcast("hello", port))
    interrupt(process)
    code, out, err = end(process)
    assert (code, err, records(out)[0]["written"]) == (130, "", 1)
    assert payloads(path) == [b"hello"]


def test_it_ends_after_a_time(path: Path, port: int) -> None:
    code, out, err = command("record", path, "--port", port, "--duration", 0.1)
    assert (code, err, records(out)[0]["written"]) == (0, "", 0)
    assert payloads(path) == []


def test_a_hundred_thousand_a_second_are_written_or_counted(path: Path, port: int) -> None:
    process = recording(path, "--port", port)
    sent = [number.to_bytes(8) * 8 for number in range(100_000)]
    with ipc.open_channel(port, backlog=1) as channel:
        assert ipc.run(channel.broadcast_all(sent, rate=100_000)) == len(sent)
    interrupt(process)
    code, out, _ = end(process)
    (told,) = records(out)
    assert (code, told["written"] + told["missed"]) == (130, len(sent))
    written = payloads(path)
    assert len(written) == told["written"]
    assert written == sent if told["missed"] == 0 else sorted(written) == written


@needs_posix
def test_what_it_missed_is_counted_exactly_and_is_code_1(path: Path, port: int) -> None:
    process = recording(path, "--port", port, "--receive-buffer", 50_000, "--duration", 3)
    os.kill(process.pid, signal.SIGSTOP)
    with ipc.open_channel(port) as channel:
        ipc.run(channel.broadcast_all([bytes(64)] * 2000))
    os.kill(process.pid, signal.SIGCONT)
    code, out, err = end(process)
    (told,) = records(out)
    assert told["missed"] > 1000
    assert told["written"] + told["missed"] == 2000
    assert len(payloads(path)) == told["written"]
    assert code == 1
    assert "the kernel dropped" in err


@needs_posix
def test_what_had_arrived_when_it_was_ended_is_written(path: Path, port: int) -> None:
    process = recording(path, "--port", port)
    os.kill(process.pid, signal.SIGSTOP)
    ipc.run(ipc.broadcast("x" * 100, port).pipe(ops.repeat(1000)))
    interrupt(process)
    os.kill(process.pid, signal.SIGCONT)
    code, out, _ = end(process)
    assert (code, records(out)[0]["written"], len(payloads(path))) == (130, 1000, 1000)


def test_it_replaces_no_file_unless_told_to(path: Path, port: int) -> None:
    path.write_text("precious")
    code, out, err = command("record", path, "--port", port, "--duration", 0)
    assert (code, out, path.read_text()) == (2, b"", "precious")
    assert f"{path} exists; choose another name, or --force" in err
    assert command("record", path, "--port", port, "--duration", 0, "--force")[0] == 0
    assert payloads(path) == []


@pytest.mark.wine_fault("symbolic links")
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_it_makes_no_file_at_the_end_of_a_symbolic_link(path: Path, port: int, force: list[str]) -> None:
    elsewhere = path.with_name("elsewhere")
    path.symlink_to(elsewhere)
    code, out, err = command("record", path, "--port", port, "--duration", 0, *force)
    assert (code, out, elsewhere.exists()) == (3, b"", False)
    assert f"{path} is a symbolic link to a file that does not exist" in err
    assert f"name the file that it points to: {elsewhere}" in err
    assert err.count("\n") == 1


@needs_posix
def test_what_it_makes_is_its_owners_to_read(path: Path, port: int) -> None:
    before = os.umask(0)
    try:
        assert command("record", path, "--port", port, "--duration", 0)[0] == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@needs_posix
def test_a_pipe_with_a_name_is_written_without_force(path: Path, port: int) -> None:
    os.mkfifo(path)
    process = start("record", path, "--verbose", "--port", port, "--count", 1)
    with path.open("rb") as pipe:
        wait_until_listening(process)
        ipc.run(ipc.broadcast("hello", port))
        content = pipe.read()
    assert end(process)[0] == 0
    assert content.endswith(b"hello")


def test_a_folder_that_is_not_there_is_one_line_and_code_3(path: Path, port: int) -> None:
    code, out, err = command("record", path / "x", "--port", port)
    assert (code, out) == (3, b"")
    assert err.startswith(f"rx-multicast-ipc: cannot write {path / 'x'}: No such file")
    assert err.count("\n") == 1


def test_standard_output_can_be_the_file(path: Path, port: int) -> None:
    process = start("record", "-", "--verbose", "--port", port, "--count", 1)
    wait_until_listening(process)
    ipc.run(ipc.broadcast("hello", port))
    code, out, err = end(process)
    path.write_bytes(out)
    assert (code, payloads(path)) == (0, [b"hello"])
    assert err.startswith("rx-multicast-ipc: wrote 1 message (5 bytes) to /dev/stdout")


@needs_posix
def test_it_ends_quietly_when_the_reader_of_its_pipe_is_gone(port: int) -> None:
    process = start("record", "-", "--verbose", "--port", port)
    wait_until_listening(process)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    process.communicate()


def test_on_a_terminal_it_tells_people(path: Path, port: int) -> None:
    ours, theirs = terminal()
    process = subprocess.Popen(
        [*PROGRAM, "record", str(path), "--port", str(port), "--count", "2"], stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    begun = ""
    while "\n" not in begun:
        begun += os.read(ours, 4096).decode()
    assert begun.startswith(f"rx-multicast-ipc: listening to 224.0.2.1:{port} on loopback; Ctrl-C ends")
    ipc.run(ipc.broadcast("one", port))
    wait_until(lambda: len(payloads(path)) == 1)
    ipc.run(ipc.broadcast("two", port))
    assert process.wait(PATIENCE) == 0
    shown = begun + shown_on(ours)
    assert f"wrote 2 messages (6 bytes) to {path} in " in shown
    assert "missed none" in shown


@needs_posix
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_it_follows_no_symbolic_link_and_writes_for_its_owner_alone(path: Path, port: int, force: list[str]) -> None:
    elsewhere = path.with_name("elsewhere")
    path.symlink_to(elsewhere)
    assert command("record", path, "--port", port, "--duration", 0, *force)[0] in (2, 3)
    assert not elsewhere.exists()
    assert command("record", elsewhere, "--port", port, "--duration", 0)[0] == 0
    assert elsewhere.stat().st_mode & 0o777 == 0o600


def test_on_an_engine_it_is_refused_before_anything_is_made(path: Path) -> None:
    code, out, err = command("record", path, "--interface", "nats://127.0.0.1:1")
    assert (code, out) == (2, b"")
    assert "since=" in err
    assert not path.exists()
