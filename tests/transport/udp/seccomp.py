"""A sandbox as containers and services have them: a filter in the kernel that refuses system calls (seccomp(2))."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import Final, NamedTuple

_CALLS: Final[tuple[str, ...]] = (
    "seccomp",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "setsockopt",
    "getsockopt",
    "recvmmsg",
    "sendmmsg",
)

NUMBERS: Final[dict[str, dict[str, int]]] = {
    "x86_64": dict(zip(_CALLS, (317, 45, 46, 47, 54, 55, 299, 307), strict=True)),
    "aarch64": dict(zip(_CALLS, (277, 207, 211, 212, 208, 209, 243, 269), strict=True)),
}

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000


class Refusal(NamedTuple):
    """One system call that is refused.

    Attributes:
        call: its name.
        level, option: of ``setsockopt`` and ``getsockopt``, to refuse that one only.
        error: what it says.
    """

    call: str
    level: int | None = None
    option: int = 0
    error: int = errno.EPERM


def refuse(*refusals: Refusal) -> None:
    """Refuse them to all threads of this process from now on; for ever, so call it in a child."""
    steps: list[bytes] = []
    for call, level, option, error in refusals:
        numbers = [(0, NUMBERS[platform.machine()][call])]  # at these offsets of struct seccomp_data
        if level is not None:
            numbers += [(24, level), (32, option)]
        for place, (offset, number) in enumerate(numbers):
            beyond = 2 * (len(numbers) - place - 1) + 1
            steps += [_step(_LOAD, offset), _step(_JUMP_EQUAL, number, 0, beyond)]
        steps.append(_step(_RETURN, _ERRNO | error))
    steps.append(_step(_RETURN, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    c_library = ctypes.CDLL(None, use_errno=True)
    if c_library.prctl(38, 1, 0, 0, 0):  # PR_SET_NO_NEW_PRIVS
        raise OSError(ctypes.get_errno(), "no_new_privs")
    number = NUMBERS[platform.machine()]["seccomp"]
    if c_library.syscall(number, 1, 1, program):  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
        raise OSError(ctypes.get_errno(), "seccomp")


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)
