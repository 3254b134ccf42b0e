"""Tests of protocols without sockets and without sleeping: a network in virtual time, and marbles."""

from ..transport.memory import Datagram
from .clock import VirtualClock
from .marbles import Marbles
from .network import VirtualNetwork
from .recording import Event, Recording

__all__ = ["Datagram", "Event", "Marbles", "Recording", "VirtualClock", "VirtualNetwork"]
