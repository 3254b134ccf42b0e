"""SIGTERM and SIGHUP end a command as Ctrl-C does: nothing that it has counted or written is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import capture
from rx_multicast_ipc.cli.ending_signals import ENDING, ended_by_signals

from ..helpers import PATIENCE, needs_posix, run, wait_until
from .helpers import PROGRAM, end, records, start, wait_until_listening

CODES = {"SIGTERM": 143, "SIGHUP": 129}

pytestmark = needs_posix


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize(
    "arguments",
    [["listen"], ["listen", "--reliable"], ["ping", "--respond"], ["members", "--follow"]],
    ids=" ".join,
)
def test_what_has_nothing_to_tell_ends_without_a_word(arguments: list[str], name: str, port: int) -> None:
    process = start(*arguments, "--verbose", "--port", port)
    wait_until_listening(process)
    process.send_signal(getattr(signal, name))
    assert end(process) == (CODES[name], b"", "")


@pytest.mark.parametrize("name", CODES)
def test_a_recording_is_whole_and_says_what_is_in_it(name: str, port: int, tmp_path: Path) -> None:
    path = tmp_path / "meeting.pcap"
    process = start("record", path, "--verbose", "--port", port)
    wait_until_listening(process)
    with ipc.open_channel(port) as channel:
        run(channel.broadcast_all([b"%d" % number for number in range(100)]))
    wait_until(lambda: path.stat().st_size > 100)  # it is past what it imports, where a signal leaves files open
    process.send_signal(getattr(signal, name))
    code, out, err = end(process)
    assert (code, err, records(out)[0]["written"]) == (CODES[name], "", 100)
    with capture.Reader(path) as reader:
        assert len(list(reader)) == 100


def test_a_bridge_says_goodbye_and_what_it_carried(port: int) -> None:
    process = start("bridge", "loopback", "loopback", "--port", port, "--wide-group", "239.255.7.9")
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    code, out, err = end(process)
    assert (code, err, records(out)[-1]["event"]) == (143, "", "end")


def test_one_that_is_ignored_stays_ignored(port: int) -> None:
    """As under nohup."""
    command = [*PROGRAM, "listen", "--verbose", "--port", str(port), "--count", "1", "--raw"]
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # type: ignore
    )
    wait_until_listening(process)
    process.send_signal(signal.SIGHUP)
    run(ipc.broadcast("still here", port))
    assert end(process)[:2] == (0, b"still here\n")


def test_a_second_one_is_not_caught_and_afterwards_none_is() -> None:
    with ended_by_signals() as came:
        for number in ENDING:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
            assert signal.getsignal(number) is signal.SIG_DFL
    assert came == [*ENDING]
    assert [signal.getsignal(number) for number in ENDING] == [signal.SIG_DFL] * len(ENDING)


def test_a_handler_of_the_program_stays() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ended_by_signals() as came:
            os.kill(os.getpid(), signal.SIGTERM)
        assert came == []
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_on_another_thread_signals_are_left_alone() -> None:
    seen: list[object] = []

    def elsewhere() -> None:
        with ended_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(PATIENCE)
    assert seen == [signal.SIG_DFL]


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_what_nobody_can_read_is_not_told_and_ends_nothing(stderr: str, port: int) -> None:
    """With standard error closed, ``print(file=None)`` would write to standard output."""
    script = f'"$@" {stderr}'
    process = subprocess.Popen(
        [
            "sh",
            "-c",
            script,
            "sh",
            *PROGRAM[:1],
            *PROGRAM[3:],
            "send",
            "--port",
            str(port),
            "--reply",
            "--timeout",
            "0",
            "x",
        ],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, b"")


@pytest.mark.parametrize("options", [["--contains"], ["--match"], ["--from"], ["--topic"]], ids=" ".join)
def test_text_that_is_not_utf8_is_taken_or_refused(options: list[str], port: int) -> None:
    command = [*PROGRAM, "listen", "--port", str(port), "--timeout", "0", *options]
    done = subprocess.run([*map(os.fsencode, command), b"\xff"], capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode in (1, 2)
    assert b"Traceback" not in done.stderr
