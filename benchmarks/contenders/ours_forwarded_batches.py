"""This package, where a subscriber sends on what it hears, to a subscriber to ``batches``, without operators."""

from . import ours_batches, ours_forwarded

Sender = ours_forwarded.Sender
Receiver = ours_batches.Receiver

__all__ = ["Receiver", "Sender"]
