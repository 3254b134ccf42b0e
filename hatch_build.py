"""Hatch's hook for the README of a package index, where links within the repository have to be addresses.

They are made of ``[project.urls] Source`` in pyproject.toml; as long as the project names none, they stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Gives the package its README, with links that lead somewhere from everywhere."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text("utf-8")
        source = metadata.get("urls", {}).get("Source", "")
        metadata["readme"] = {"content-type": "text/markdown", "text": with_addresses(text, source)}


def with_addresses(text: str, source: str) -> str:
    """The text of a README with addresses in place of paths: of pages, and of pictures themselves."""
    if not source:
        return text

    def link(match: re.Match[str]) -> str:
        picture, shown, path = match.groups()
        return f"{picture}[{shown}]({source.rstrip('/')}/{'raw' if picture else 'blob'}/HEAD/{path})"

    return _LINK.sub(link, text)
