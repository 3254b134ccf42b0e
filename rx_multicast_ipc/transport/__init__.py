"""What carries datagrams: live UDP, or a virtual network, behind one seam."""

from .base import Changed, Deliver, Ended, OpenTransport, Transport, WouldBlock

__all__ = ["Changed", "Deliver", "Ended", "OpenTransport", "Transport", "WouldBlock"]
