"""Checks of arguments that several calls share."""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from .errors import InvalidOption


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


def check_count(name: str, value: int, unit: str) -> int:
    """``value``, if it is a whole number of at least 1; raises ``InvalidOption``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidOption(f"{name} is a number of {unit}, 1 or more, not {value!r}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
