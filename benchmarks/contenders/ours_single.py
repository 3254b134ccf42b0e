"""This package, fed one by one: a plain sendto loop to ``filter``, ``map`` and a subscriber."""

from . import ours, raw

Sender = raw.Sender
Receiver = ours.Receiver

__all__ = ["Receiver", "Sender"]
