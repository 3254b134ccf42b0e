"""This package: a pipeline into ``broadcast_all(linger=)``, to a subscriber to ``batches``, without operators."""

from . import ours_batches, ours_linger

Sender = ours_linger.Sender
Receiver = ours_batches.Receiver

__all__ = ["Receiver", "Sender"]
