"""Every example does what it says, started as a user would start it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc

from .documents import complaints
from .helpers import PATIENCE, ROOT, interrupt, thorough

EXAMPLES = ROOT / "examples"


@contextmanager
def example(name: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", str(EXAMPLES / f"{name}.py"), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def output(process: subprocess.Popen[str], text: str = "") -> list[str]:
    out, err = process.communicate(text, timeout=PATIENCE)
    assert (process.returncode, complaints(err)) == (0, "")
    return out.splitlines()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def test_hello_is_heard() -> None:
    with example("hello") as hello:
        (line,) = output(hello)
    assert line.startswith("'hello' from 127.0.0.1, port ")


def test_the_arena_prints_who_said_what_to_whom() -> None:
    with example("arena") as arena:
        lines = output(arena)
    for name in ("Ann", "Bob"):
        assert lines.count(f"{name} -> everyone: join:{name}") == 1
        assert lines.count(f"welcome -> {name} alone: Welcome {name}!") == 1
        assert lines.count(f"{name} hears, alone: Welcome {name}!") == 1
        assert lines.count(f"announcer -> everyone: Player {name} has entered the arena!") == 1
        assert lines.count(f"{name} hears, with everyone: Player {name} has entered the arena!") == 1
        assert sum(line.startswith("logger:") and line.endswith(f"said 'join:{name}'") for line in lines) == 1
    assert lines[-1] == "arena -> everyone: arena:closed"


@pytest.mark.parametrize("bot", ["announcer", "welcome", "logger"])
def test_a_bot_ends_when_the_arena_closes(bot: str) -> None:
    with ipc.open_channel() as channel, example(bot) as process:
        ipc.run(channel.wait_for_message(lambda m: m.text == f"ready:{bot}", timeout=PATIENCE))
        ipc.run(channel.broadcast("arena:closed"))
        output(process)


def test_ping_is_answered_by_pong() -> None:
    with ipc.open_channel() as channel, example("ping_pong", "pong") as pong:
        ipc.run(channel.wait_for_message(lambda m: m.text == "pong is here", timeout=PATIENCE))
        with example("ping_pong", "ping") as ping:
            assert output(ping)[0].startswith("pong from 127.0.0.1:")
        interrupt(pong)
        output(pong)


def test_ping_alone_gives_up_in_time() -> None:
    with example("ping_pong", "ping") as ping:
        out, err = ping.communicate(timeout=PATIENCE)
    assert (ping.returncode, err) == (1, "")
    assert out.startswith("nobody answered: no answer within 0.5 s")


def test_the_highest_number_is_elected_and_when_it_is_gone_the_next() -> None:
    with example("election", "1", "0.2") as one:
        with example("election", "2", "0.2") as two:
            for process in (one, two):
                assert "2 leads" in iter(partial(read_line, process), "")
            interrupt(two)
            output(two)
        assert "1 leads" in iter(partial(read_line, one), "")
        interrupt(one)
        output(one)


def test_requests_of_several_clients_are_answered() -> None:
    with example("request_reply", "serve", "3") as service:
        assert read_line(service) == "serving"
        for a, b in ((6, 7), (0, 5), (-3, 4)):
            with example("request_reply", "ask", str(a), str(b)) as client:
                assert output(client) == [f"{a} x {b} = {a * b}"]
        output(service)


def test_the_sensor_stream_is_typed_and_skips_what_is_no_reading() -> None:
    with example("sensor", "watch") as watcher:
        assert read_line(watcher) == "watching"
        ipc.run(ipc.broadcast(b"no reading", 61091))
        with example("sensor", "publish") as publisher:
            output(publisher)
        out, err = watcher.communicate(timeout=PATIENCE)
    assert watcher.returncode == 0
    assert out.splitlines()[-1] == "warmest so far: 20.99 °C"
    assert "cannot decode 10 bytes" in err


def test_the_robot_is_stopped_when_its_battery_is_low() -> None:
    with example("robot", "watch") as watcher:
        assert read_line(watcher) == "watching"
        with example("robot", "drive") as robot:
            assert output(robot) == ["stopped"]
        assert {"robot/pose", "robot/battery"} <= set(output(watcher))


def test_a_chat_of_two() -> None:
    with example("chat", "Ann") as ann:
        assert read_line(ann) == "* Ann came in"
        with example("chat", "Bob") as bob:
            assert read_line(bob) == "* Bob came in"
            assert read_line(ann) == "* Bob came in"
            say(bob, "hi Ann")
            assert read_line(ann) == "Bob: hi Ann"
            assert read_line(bob) == "Bob: hi Ann"
            output(bob)
        assert read_line(ann) == "* Bob left"
        output(ann)


def test_ctrl_c_ends_the_chat_without_a_traceback() -> None:
    with example("chat", "Ann") as ann:
        assert read_line(ann) == "* Ann came in"
        interrupt(ann)
        output(ann, "\n")


@thorough
@pytest.mark.parametrize("bot", ["announcer", "welcome", "logger"])
def test_ctrl_c_ends_a_bot_without_a_traceback(bot: str) -> None:
    with ipc.open_channel() as channel, example(bot) as process:
        ipc.run(channel.wait_for_message(lambda m: m.text == f"ready:{bot}", timeout=PATIENCE))
        interrupt(process)
        output(process)


@thorough
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("sensor", ["watch"]), ("request_reply", ["serve"]), ("player", ["Ann"]), ("election", ["1"]), ("arena", [])],
)
def test_ctrl_c_ends_an_example_without_a_traceback(name: str, arguments: list[str]) -> None:
    with example(name, *arguments) as process:
        assert read_line(process)
        interrupt(process)
        _, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_three_on_a_roster_see_each_other_come_leave_and_crash() -> None:
    with example("roster", "Ann", "0.5") as ann, example("roster", "Bob", "0.5") as bob:
        assert "here: Ann, Bob" in iter(partial(read_line, ann), "")
        with example("roster", "Cid", "0.5") as cid:
            for process in (ann, bob, cid):
                assert "here: Ann, Bob, Cid" in iter(partial(read_line, process), "")
            assert read_line(ann) == "Cid came"
            cid.kill()
            assert {read_line(ann), read_line(ann)} == {"here: Ann, Bob", "Cid left: silent"}
        output(bob)
        assert "Bob left: said goodbye" in iter(partial(read_line, ann), "")
        output(ann)


def test_a_setting_outlives_who_set_it_and_is_there_for_who_comes_late() -> None:
    with example("shared_setting") as one, example("shared_setting") as other:
        assert [read_line(process) for process in (one, other)] == ["ready", "ready"]
        say(one, "volume 7")
        assert [read_line(process) for process in (one, other)] == ["volume is 7"] * 2
        output(one)
        with example("shared_setting") as late:
            assert [read_line(late), read_line(late)] == ["ready", "volume is 7"]
            say(late, "volume 8")
            assert [read_line(process) for process in (late, other)] == ["volume is 8"] * 2
            output(late)
        output(other)


def test_examples_are_short() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60, path.name


def test_a_file_reaches_all_who_wait_for_it(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    (tmp_path / "file").write_bytes(content)

    def is_told_that_both_have_it() -> bool:
        with ExitStack() as stack:
            waiting = [stack.enter_context(example("courier", "receive", str(tmp_path / f"copy{n}"))) for n in (1, 2)]
            assert [read_line(process) for process in waiting] == ["waiting"] * 2
            sender = stack.enter_context(example("courier", "send", str(tmp_path / "file")))
            if output(sender) != ["2 have it, 0 left without it"]:
                return False  # on a busy machine one took longer than 0.2 s to say that it is there
            for number, process in enumerate(waiting, 1):
                assert output(process) == [f"{len(content)} bytes"]
                assert (tmp_path / f"copy{number}").read_bytes() == content
            return True

    assert any(is_told_that_both_have_it() for _ in range(10))
