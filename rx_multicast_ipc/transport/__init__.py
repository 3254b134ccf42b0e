"""What carries datagrams: live UDP, or a virtual network, behind one seam."""

from ._thread import on_delivering_thread
from .base import Deliver, Ended, OpenTransport, Transport

__all__ = ["Deliver", "Ended", "OpenTransport", "Transport", "on_delivering_thread"]
