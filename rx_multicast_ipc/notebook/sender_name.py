"""How a sender is told."""

from __future__ import annotations

from ..message import Address

Sender = Address | str
"""Whom an item is counted for: a message's address and port, or the type of a plain value."""


def name_of(sender: Sender) -> str:
    """``address:port``, with brackets around IPv6; a type as it is."""
    if isinstance(sender, str):
        return sender
    address, port = sender
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
