"""How a sender is told."""

from __future__ import annotations

from collections.abc import Mapping

from ..message import Address

Sender = Address | str
"""Whom an item is counted for: a message's address and port, or the type of a plain value."""


def name_of(sender: Sender, names: Mapping[Address, str] | None = None) -> str:
    """What it is called in ``names``; else ``address:port``, with brackets around IPv6; a type as it is."""
    if isinstance(sender, str):
        return sender
    if names and sender in names:
        return names[sender]
    address, port = sender
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
