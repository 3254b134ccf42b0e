"""The batch that this thread delivers, and its end, for who would rather take many items than one after the other."""

from ..transport.delivered_batch import HERE, DeliveredBatch

__all__ = ["HERE", "DeliveredBatch"]
