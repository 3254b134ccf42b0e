"""``key`` makes keys, and the other commands take them."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from ..helpers import ROOT, Seen, ipc, needs_linux, wait_until
from .helpers import PROGRAM, command, end, records, start, wait_until_listening

pytestmark = needs_linux


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "group.key"
    ipc.Key.new().save(path)
    return path


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077])
def test_a_redirected_key_is_its_owners_alone_to_read(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "my.key"
    with path.open("wb") as out:
        os.chmod(path, 0o666 & ~umask)
        subprocess.run([*PROGRAM, "key"], stdout=out, cwd=ROOT, check=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ipc.Key.from_file(path)


def test_a_key_is_written_to_a_new_file_and_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "my.key"
    assert command("key", path) == (0, b"", "")
    key = ipc.Key.from_file(path)
    code, out, told = command("key", path)
    assert (code, out) == (2, b"")
    assert "there already" in told
    assert ipc.Key.from_file(path) == key
    assert command("key", "--hint", path) == (0, f"{key.hint}\n".encode(), "")


def test_sealed_messages_go_from_command_to_command(port: int, key_file: Path, tmp_path: Path) -> None:
    command("key", tmp_path / "other.key")
    listening = start("listen", "--port", port, "--key", key_file, "--count", 1, "--verbose", "--timeout", 60)
    wait_until_listening(listening)
    assert command("send", "--port", port, "plain")[0] == 0
    assert command("send", "--port", port, "--key", tmp_path / "other.key", "with another key")[0] == 0
    assert command("send", "--port", port, "--key", key_file, "for members")[0] == 0
    code, out, told = end(listening)
    assert code == 0
    assert [record["data"] for record in records(out)] == ["for members"]
    assert "not sealed" in told
    assert "sealed with another key" in told


def test_who_listens_without_a_key_is_told_and_reads_nothing(port: int, key_file: Path) -> None:
    listening = start("listen", "--port", port, "--count", 1, "--verbose", "--timeout", 60)
    wait_until_listening(listening)
    command("send", "--port", port, "--key", key_file, "for members")
    code, out, told = end(listening)
    assert code == 0
    assert b"members" not in out
    assert "without key=" in told


def test_the_environment_names_a_key_for_commands(port: int, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ipc.open_channel(port, key=ipc.Key.from_file(key_file)) as channel:
        heard = Seen(channel.messages)
        monkeypatch.setenv("RX_MULTICAST_IPC_KEY", str(key_file))
        assert command("send", "--port", port, "sealed")[0] == 0
        assert command("send", "--port", port, "--key", "", "plain all the same")[0] == 0
        heard.wait_for_count(1)
        assert [message.text for message in heard.values] == ["sealed"]
        wait_until(lambda: channel.statistics.rejected)


@pytest.mark.parametrize("name", ["listen", "send", "ping", "record", "replay", "topics", "doctor", "members", "bench"])
def test_a_key_file_that_cannot_be_read_is_a_mistake_in_the_command_line(name: str) -> None:
    needed = {"record": ["x.pcap"], "replay": ["x.pcap"], "send": ["x"]}.get(name, [])
    code, _, told = command(name, *needed, "--key", "/no/such.key")
    assert code == 2
    assert "rx-multicast-ipc key FILE" in told
    assert "Traceback" not in told
