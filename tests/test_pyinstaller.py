"""A program that PyInstaller packs has all that it needs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

from rx_multicast_ipc._pyinstaller import hook_dirs

from .helpers import needs_linux

PROGRAM = """
import sys
import rx_multicast_ipc as ipc
from rx_multicast_ipc.cli.main import main

if len(sys.argv) > 1:
    sys.exit(main(sys.argv[1:]))
with ipc.open_channel(61090) as channel:
    ipc.run(channel.broadcast("packed"))
    print(ipc.run(channel.wait_for_message(timeout=10)).text, ipc.__version__)
network = ipc.testing.VirtualNetwork(ipc.testing.VirtualClock())
with network.open_channel() as virtual, ipc.capture.Writer(sys.executable + ".pcap") as writer:
    writer.write([ipc.Message(b"kept", "127.0.0.1", 5)], (virtual.group.address, virtual.group.port))
from rx_multicast_ipc.notebook.live_widget import STATIC, front_end
print("initialize" in front_end(), (STATIC / "live.css").exists())
"""

BUILD_PATIENCE = 900
"""Seconds: it looks at every module that is installed."""

COMMANDS = ("listen", "send", "topics", "ping", "bench", "record", "replay", "doctor", "completion")


def test_hooks_are_where_the_entry_point_says() -> None:
    (folder,) = hook_dirs()
    assert {path.name for path in Path(folder).glob("hook-*.py")} == {
        "hook-rx_multicast_ipc.py",
        "hook-rx_multicast_ipc.cli.main.py",
    }


@needs_linux
@pytest.mark.skipif(find_spec("PyInstaller") is None, reason="needs PyInstaller: pip install -e '.[dev]'")
@pytest.mark.skipif(
    not entry_points(group="pyinstaller40", name="hook-dirs").select(module="rx_multicast_ipc._pyinstaller"),
    reason="the package is not installed as it is now: pip install -e .",
)
def test_a_program_in_a_folder_of_its_own_talks_captures_and_has_every_command(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    build = [sys.executable, "-m", "PyInstaller", "--onedir", "--noconfirm", "--log-level", "ERROR"]
    left_out = [
        f"--exclude-module={name}" for name in ("pytest", "hypothesis", "pandas", "polars", "matplotlib", "zenoh")
    ]
    subprocess.run([*build, *left_out, "program.py"], cwd=tmp_path, check=True, timeout=BUILD_PATIENCE)

    def run(*arguments: str) -> str:
        command = [tmp_path / "dist" / "program" / "program", *arguments]
        return subprocess.run(command, cwd="/", env={}, capture_output=True, text=True, timeout=60, check=True).stdout

    said, front_end = run().splitlines()
    assert said.startswith("packed 0")
    assert front_end == "True True"
    assert run("send", "--port", "61090", "x") == ""
    for command in COMMANDS:
        assert f"rx-multicast-ipc {command}" in run(command, "--help")
