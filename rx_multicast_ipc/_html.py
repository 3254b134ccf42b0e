"""How records look in a notebook: small tables, with everything escaped."""

from __future__ import annotations

from collections.abc import Mapping


def html_table(title: str, facts: Mapping[str, object]) -> str:
    """A table of two columns. Both may hold anything that a stranger sent."""
    from html import escape  # a notebook has loaded it; nobody else needs it

    rows = "".join(
        f'<tr><th style="text-align:left;vertical-align:top">{escape(name)}</th>'
        f'<td style="text-align:left;white-space:pre-wrap;word-break:break-word;unicode-bidi:isolate">'
        f"{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f'<table><caption style="text-align:left"><b>{escape(title)}</b></caption><tbody>{rows}</tbody></table>'
