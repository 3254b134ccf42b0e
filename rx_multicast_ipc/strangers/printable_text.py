"""Text that can be shown on a terminal and in a log, whoever wrote it."""

from __future__ import annotations

from typing import Final

_LONGEST_SHOWN: Final = 80
"""Characters of a wrong argument that an error shows."""

_CUT: Final = "… ({} more characters)"


def printable(text: str, *, keep: str = "", limit: int | None = None) -> str:
    """``text`` with an escape in place of every character that is not printable.

    Those are control characters (C0, DEL, C1, and with them every escape sequence), format characters such as
    bidirectional overrides, line and paragraph separators, lone surrogates, and unassigned or private ones: what
    ``str.isprintable`` says no to (Unicode categories Other and Separator, except the space).

    Args:
        keep: characters that stay as they are, such as ``"\\n"``.
        limit: characters of ``text`` that are shown; how many more there are is said behind them.
    """
    if limit is not None and len(text) > limit:
        return printable(text[:limit], keep=keep) + _CUT.format(len(text) - limit)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escape(char) for char in text)


def shown(value: object) -> str:
    """``value`` for an error's text: what its repr begins with."""
    try:
        text = repr(value)
    except Exception:  # a stranger's repr is no reason for another error
        text = object.__repr__(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def text_of(error: BaseException | str) -> str:
    """What an error says, or else of what kind it is: it may be made of what could not be decoded."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return text or type(error).__name__


def printable_bytes(data: bytes, *, keep: str = "") -> str:
    """``data`` as printable UTF-8; bytes that are not UTF-8 become ``\\xNN``."""
    return printable(data.decode("utf-8", "backslashreplace"), keep=keep)


def printable_json(text: str) -> str:
    """Lines of JSON with escapes of JSON (``\\uNNNN``) for what is not printable: it stays the same JSON."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _json_escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
