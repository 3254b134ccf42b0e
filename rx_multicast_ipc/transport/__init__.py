"""What carries datagrams: live UDP, or a virtual network, behind one seam."""

from .base import Deliver, Ended, OpenTransport, Transport

__all__ = ["Deliver", "Ended", "OpenTransport", "Transport"]
