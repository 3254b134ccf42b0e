"""One transfer on a network of its own: a sender, receivers, and what the switch does to their packets."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.hosts import Network, hosts


class Task(NamedTuple):
    """What is sent.

    Attributes:
        messages, size: how many, and bytes of each.
        how: ``bundled``, ``single``, or messages a second.
        receivers: hosts that hear it.
        loss: percent, each way.
        patience: seconds after which those that have not heard all are asked what they have.
    """

    messages: int
    size: int = 100
    how: str = "bundled"
    receivers: int = 1
    loss: float = 0.0
    patience: float = 30.0


class Result(NamedTuple):
    """What became of it.

    Attributes:
        seconds: from the first send until the last receiver had all, or heard something last.
        heard: messages, of the receiver that heard the fewest.
        in_order: whether all heard in order, from the first on.
        p50, p99: milliseconds from send to receiver, of the slowest one.
        repeated: packets that were sent again, where that is told.
        cpu: microseconds of processor a message, of all processes.
    """

    seconds: float
    heard: int
    in_order: bool
    p50: float
    p99: float
    repeated: int
    cpu: float


def transfer(contender: str, task: Task, prepare: Callable[[Network], Any] | None = None) -> Result:
    """Do it once.

    Args:
        contender: who.
        task: what.
        prepare: called with the network before anything is sent.
    """
    with hosts(task.receivers + 1) as network:
        sender, *ends = network
        if prepare is not None:
            prepare(network)
        program = (sys.executable, "-m", "benchmarks.reliable.peer")
        listening = [end.start(*program, "hear", contender, str(task.messages)) for end in ends]
        for process in listening:
            _line(process, 30.0)
        arguments = map(str, (task.receivers, task.messages, task.size, task.how))
        sending = sender.start(*program, "say", contender, *arguments)
        if task.loss:
            network.lose(task.loss)
            network.lose(task.loss, protocol="tcp")
        said = _line(sending, 30.0 + task.patience)
        deadline = time.monotonic() + task.patience
        heard = [_line(process, max(0.1, deadline - time.monotonic()), ask=True) for process in listening]
        repeated = 0
        if said and sending.stdin is not None:
            sending.stdin.close()
            repeated = (_line(sending, 10.0) or {"repeated": 0})["repeated"]
    return _result(task, said, [each for each in heard if each], len(ends), repeated)


def _result(task: Task, said: Any, heard: Sequence[Any], receivers: int, repeated: int) -> Result:
    if not said or len(heard) < receivers:
        return Result(float("nan"), 0, False, float("nan"), float("nan"), repeated, float("nan"))
    return Result(
        max(end["last"] for end in heard) - said["begun"],
        min(end["heard"] for end in heard),
        all(end["in_order"] and end["heard"] == task.messages for end in heard),
        max(end["p50"] for end in heard),
        max(end["p99"] for end in heard),
        repeated,
        (said["cpu"] + sum(end["cpu"] for end in heard)) / task.messages * 1e6,
    )


def _line(process: subprocess.Popen[str], seconds: float, *, ask: bool = False) -> Any:
    """The next line of a process, as JSON if it is; None if none comes. ``ask``: then end its input, and wait again."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], seconds)[0]:
        if not ask or process.stdin is None:
            return None
        process.stdin.close()
        return _line(process, 5.0)
    line = process.stdout.readline()
    return json.loads(line) if line.startswith("{") else line
