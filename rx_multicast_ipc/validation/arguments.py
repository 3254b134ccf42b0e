"""Checks of arguments that several calls share."""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from ..errors import InvalidOption

_LARGEST_BUFFER = 2**31 - 1
"""Bytes: setsockopt(2) takes a C int."""


def check_timeout(timeout: float | None) -> float | None:
    """``timeout``, if it is None (for ever, as is infinity) or seconds; raises ``InvalidOption``."""
    if timeout is None or timeout == inf:
        return None
    if not _is_number(timeout) or not timeout >= 0:
        raise InvalidOption(f"timeout is a number of seconds, 0 or more, not {timeout!r}; None waits for ever")
    return float(timeout)


def check_rate(rate: float | None) -> float | None:
    """``rate``, if it is None or messages a second; raises ``InvalidOption``."""
    if rate is not None and not (_is_number(rate) and isfinite(rate) and rate > 0):
        raise InvalidOption(f"rate is a number of messages a second, more than 0, not {rate!r}; None does not pace")
    return rate


def check_seconds(name: str, value: float) -> float:
    """``value``, if it is a finite time; raises ``InvalidOption``."""
    if not (_is_number(value) and isfinite(value) and value >= 0):
        raise InvalidOption(f"{name} is a number of seconds, 0 or more, not {value!r}")
    return value


def check_count(name: str, value: int, unit: str, most: int | None = None) -> int:
    """``value``, if it is a whole number from 1 to ``most``; raises ``InvalidOption``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidOption(f"{name} is a number of {unit}, 1 or more, not {value!r}")
    if most is not None and value > most:
        raise InvalidOption(f"{name} is a number of {unit}, {most} at most, not {value}")
    return value


def check_receive_buffer(name: str, size: int) -> int:
    """``size``, if a system may be asked for a buffer of so many bytes; raises ``InvalidOption``."""
    return check_count(name, size, "bytes", _LARGEST_BUFFER)


def check_backlog(name: str, size: int) -> int:
    """``size``, if it is a number of messages; raises ``InvalidOption``."""
    return check_count(name, size, "messages")


def check_flag(name: str, value: bool) -> bool:
    """``value``, if it is True or False; raises ``InvalidOption``."""
    if not isinstance(value, bool):
        raise InvalidOption(f"{name} is True or False, not {value!r}")
    return value


def check_send_from(name: str, value: str) -> str:
    """``value``, if it says from which port to send; raises ``InvalidOption``."""
    if value not in ("own", "group"):
        raise InvalidOption(
            f'{name} is "own", a port of the channel\'s own, or "group", the group\'s port; not {value!r}'
        )
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
