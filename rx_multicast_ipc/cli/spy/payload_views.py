"""Ways to look at a payload: as text, as JSON, as a hex dump."""

from __future__ import annotations

from typing import Final, Literal

from ...strangers.decoding import indented_json_or_none, leading_text_or_none
from ...strangers.printable_text import printable_bytes, printable_json

View = Literal["auto", "text", "json", "hex"]

_HEX_WIDTH: Final = 71
"""Characters of a line of 16 bytes."""

SHOWN: Final = 8192
"""Bytes of a payload that are shown."""

_LAID_OUT: Final = 16 * SHOWN
"""Characters of JSON on lines that are shown; nested deep, a payload becomes many times as long by its indentation."""


def view_of(data: bytes, view: View, width: int = 80) -> tuple[View, str]:
    """``data`` in the view that was asked for, and which one that is; ``"auto"`` picks what fits.

    Lines hold nothing that steers a terminal. What is no JSON shows as text, with a note. A hex dump is made for
    lines of ``width`` characters.
    """
    if view in ("auto", "json"):
        as_json = _json(data)
        if as_json is not None and (view == "json" or as_json[0] in "{["):
            return "json", as_json
        if view == "json":
            return "json", f"(no JSON)\n{_text(data)}"
    if view == "hex" or (view == "auto" and not _is_text(data)):
        return "hex", hex_dump(data[:SHOWN], 16 if width >= _HEX_WIDTH else 8) + _rest(data)
    return "text", _text(data)


def hex_dump(data: bytes, width: int = 16) -> str:
    """Offset, bytes and their ASCII characters, ``width`` bytes a line."""
    lines: list[str] = []
    for offset in range(0, len(data), width):
        part = data[offset : offset + width]
        ascii_ = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{offset:04x}  {part.hex(' '):{3 * width - 1}}  {ascii_}")
    return "\n".join(lines)


def _json(data: bytes) -> str | None:
    if len(data) > SHOWN:
        return None
    lines = indented_json_or_none(data)
    if lines is None or len(lines) > _LAID_OUT:
        return None
    return printable_json(lines)


def _is_text(data: bytes) -> bool:
    text = leading_text_or_none(data, SHOWN)
    return text is not None and all(char.isprintable() or char in "\n\r\t" for char in text)


def _text(data: bytes) -> str:
    return printable_bytes(data[:SHOWN], keep="\n") + _rest(data)


def _rest(data: bytes) -> str:
    return f"\n… and {len(data) - SHOWN} bytes more" if len(data) > SHOWN else ""
