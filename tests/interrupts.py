"""Ctrl-C at a chosen place of the library's own code: at the places where CPython looks for signals."""

from __future__ import annotations

import ast
import dis
import functools
import gc
import linecache
import os
import sys
from collections.abc import Callable
from itertools import islice
from types import CodeType, FrameType
from typing import Any

import pytest

import rx_multicast_ipc as ipc

traces_opcodes = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="CPython 3.12 and later tell of opcodes in one run and not in the next"
)
"""For tests that interrupt."""

_PACKAGE = os.path.dirname(ipc.__file__)


@functools.cache
def _places(code: CodeType) -> dict[int, int]:
    """On entry, at a jump back, and behind a call where the next instruction has the same exception handlers.

    For the last, with where the call is; else with -1.
    """
    parse: Any = vars(dis)["_parse_exception_table"]
    table = parse(code)

    def handlers(offset: int) -> list[int]:
        return [entry.target for entry in table if entry.start <= offset < entry.end]

    found: dict[int, int] = {}
    before: dis.Instruction | None = None
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("RESUME", "JUMP_BACKWARD"):
            found[instruction.offset] = -1
        elif (
            before is not None
            and before.opname.startswith("CALL")
            and handlers(before.offset) == handlers(instruction.offset)
        ):
            found[instruction.offset] = before.offset
        before = instruction
    return found


@functools.cache
def _called_name(code: CodeType, offset: int) -> str:
    """The name of what the call there calls; ``""`` if it has none."""
    line, end_line, column, end_column = next(islice(code.co_positions(), offset // 2, None))
    if line is None or end_line is None:
        return ""
    lines = [linecache.getline(code.co_filename, number).encode() for number in range(line, end_line + 1)]
    lines[-1] = lines[-1][:end_column]
    try:
        called: Any = ast.parse(b"(%b)" % b"".join(lines)[column:], mode="eval").body
    except SyntaxError:
        return ""
    function = called.func if isinstance(called, ast.Call) else None
    return getattr(function, "attr", getattr(function, "id", ""))


def _interrupt() -> None:
    raise KeyboardInterrupt


def interrupted_at(place: int, action: Callable[[], object], handler: Callable[[], object] = _interrupt) -> bool:
    """Run ``action``, and call a signal handler at the place of that number, from 1; whether it got there.

    By default the handler raises ``KeyboardInterrupt``. Behind a call of a Python function, which returns without a
    look at signals, is no place; behind one of what is called through C, such as a class or a built-in function, is.
    """
    passed = 0
    called: dict[FrameType, int] = {}
    """By the caller: where in it a Python function was called last, by its own name."""

    def pass_place(frame: FrameType) -> None:
        nonlocal passed
        passed += 1
        if passed == place:
            sys.settrace(None)
            frame.f_trace = None
            handler()

    def on_call(frame: FrameType, event: str, _: object) -> Any:
        code, caller = frame.f_code, frame.f_back
        if (
            caller is not None
            and caller.f_code.co_filename.startswith(_PACKAGE)
            and not code.co_name.startswith("__")
            and _called_name(caller.f_code, caller.f_lasti) == code.co_name
        ):
            called[caller] = caller.f_lasti
        if not code.co_filename.startswith(_PACKAGE):
            return None
        frame.f_trace_opcodes = True
        places = _places(code)
        if places.get(frame.f_lasti) == -1 and code.co_name != "__del__":  # on entry, of which no opcode is told
            pass_place(frame)

        def on_opcode(frame: FrameType, event: str, _: object) -> Any:
            call = places.get(frame.f_lasti) if event == "opcode" else None
            if call is not None and (call < 0 or not call <= called.pop(frame, -1) < frame.f_lasti):
                pass_place(frame)
            return on_opcode

        return on_opcode

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()  # which would have places of its own, now and then
    sys.settrace(on_call)
    try:
        action()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return passed >= place


def interrupted_often(first: int, pause: int, action: Callable[[], object]) -> int:
    """Run ``action`` with Ctrl-C at that place, and again with Ctrl-C after ``pause`` places, until it ends by itself.

    Returns how often it was interrupted.
    """
    times, place = 0, first
    while interrupted_at(place, action):
        times, place = times + 1, pause
    return times
