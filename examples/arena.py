"""Three bots and two players, each a process of its own, meet in a multicast group: `python examples/arena.py`."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import rx_multicast_ipc as ipc

BOTS = ("announcer", "welcome", "logger")
PLAYERS = ("Ann", "Bob")
HERE = Path(__file__).parent


def start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    # All share one terminal: a line has to be written as a whole, which unbuffered output is not.
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    return subprocess.Popen([sys.executable, str(HERE / f"{script}.py"), *arguments], env=environment)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    processes: list[subprocess.Popen[bytes]] = []
    with ipc.open_channel() as channel:
        try:
            processes += [start(bot) for bot in BOTS]
            for _ in BOTS:
                ready = ipc.run(channel.wait_for_message(lambda m: m.text.startswith("ready:"), timeout=30))
                say(f"{ready.text[6:]} listens on {ready.address}:{ready.port}")
            players = [start("player", name) for name in PLAYERS]
            processes += players
            for player in players:
                player.wait(timeout=30)
            say("arena -> everyone: arena:closed")
            ipc.run(channel.broadcast("arena:closed"))
            return max(process.wait(timeout=30) for process in processes)
        finally:
            for process in processes:
                process.kill()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
