"""Tests of protocols without sockets and without sleeping: a network in virtual time, marbles, and faults on demand."""

from ..transport.wire import Datagram, Traffic
from .clock import VirtualClock
from .faulty import FaultCounts, FaultOptions, FaultyNetwork, FaultyTransport
from .marbles import Marbles
from .network import VirtualNetwork
from .recording import Event, Recording
from .wrapper import TransportWrapper

__all__ = [
    "Datagram",
    "Event",
    "FaultCounts",
    "FaultOptions",
    "FaultyNetwork",
    "FaultyTransport",
    "Marbles",
    "Recording",
    "Traffic",
    "TransportWrapper",
    "VirtualClock",
    "VirtualNetwork",
]
