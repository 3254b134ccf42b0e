"""What carries datagrams: live UDP, or a virtual network, behind one seam."""

from .base import Changed, Deliver, Ended, Hears, OpenTransport, Transport, WouldBlock, may_wait
from .wrapper import TransportWrapper

__all__ = [
    "Changed",
    "Deliver",
    "Ended",
    "Hears",
    "OpenTransport",
    "Transport",
    "TransportWrapper",
    "WouldBlock",
    "may_wait",
]
