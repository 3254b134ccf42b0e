"""Ctrl-C at a chosen place of the library's own code: at the places where CPython looks for signals."""

from __future__ import annotations

import dis
import functools
import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import rx_multicast_ipc as ipc

_PACKAGE = os.path.dirname(ipc.__file__)


@functools.cache
def _places(code: CodeType) -> frozenset[int]:
    """On entry, at a jump back, and behind a call where the next instruction has the same exception handlers."""
    parse: Any = vars(dis)["_parse_exception_table"]
    table = parse(code)

    def handlers(offset: int) -> list[int]:
        return [entry.target for entry in table if entry.start <= offset < entry.end]

    found: set[int] = set()
    before: dis.Instruction | None = None
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("RESUME", "JUMP_BACKWARD"):
            found.add(instruction.offset)
        if (
            before is not None
            and before.opname.startswith("CALL")
            and handlers(before.offset) == handlers(instruction.offset)
        ):
            found.add(instruction.offset)
        before = instruction
    return frozenset(found)


def _interrupt() -> None:
    raise KeyboardInterrupt


def interrupted_at(place: int, action: Callable[[], object], handler: Callable[[], object] = _interrupt) -> bool:
    """Run ``action``, and call a signal handler at the place of that number, from 1; whether it got there.

    By default the handler raises ``KeyboardInterrupt``.
    """
    passed = 0

    def on_call(frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            return None
        frame.f_trace_opcodes = True
        places = _places(code)

        def on_opcode(frame: FrameType, event: str, _: object) -> Any:
            nonlocal passed
            if event == "opcode" and frame.f_lasti in places:
                passed += 1
                if passed == place:
                    sys.settrace(None)
                    frame.f_trace = None
                    handler()
            return on_opcode

        return on_opcode

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        action()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return passed >= place


def interrupted_often(first: int, pause: int, action: Callable[[], object]) -> int:
    """Run ``action`` with Ctrl-C at that place, and again with Ctrl-C after ``pause`` places, until it ends by itself.

    Returns how often it was interrupted.
    """
    times, place = 0, first
    while interrupted_at(place, action):
        times, place = times + 1, pause
    return times
