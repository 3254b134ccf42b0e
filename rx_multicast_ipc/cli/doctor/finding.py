"""What the doctor found: what was seen, what it means, and what fixes it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How bad it is.

    Attributes:
        OK: as it should be.
        NOTE: good to know.
        WARNING: it works, but not in every case.
        FAULT: it does not work.
    """

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAULT = "fault"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: which finding this is, the same on every machine, such as ``"interface-down"``.
        severity: how bad it is.
        subject: what was looked at: an interface, the port, a peer.
        seen: what was seen.
        means: what follows from it; ``""`` if nothing does.
        fix: commands or steps that fix it, the likeliest first.
        figures: what was counted, if anything.
    """

    name: str
    severity: Severity
    subject: str
    seen: str
    means: str = ""
    fix: tuple[str, ...] = ()
    figures: dict[str, int] = {}


def ok(name: str, subject: str, seen: str, means: str = "") -> Finding:
    return Finding(name, Severity.OK, subject, seen, means)


def note(name: str, subject: str, seen: str, means: str, *fix: str) -> Finding:
    return Finding(name, Severity.NOTE, subject, seen, means, fix)


def warning(name: str, subject: str, seen: str, means: str, *fix: str) -> Finding:
    return Finding(name, Severity.WARNING, subject, seen, means, fix)


def fault(name: str, subject: str, seen: str, means: str, *fix: str) -> Finding:
    return Finding(name, Severity.FAULT, subject, seen, means, fix)
