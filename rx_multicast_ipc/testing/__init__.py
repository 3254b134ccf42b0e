"""Tests of protocols without sockets and without sleeping: a network in virtual time, marbles, and faults on demand."""

from ..transport.wire import Datagram, Traffic
from .faulty import FaultCounts, FaultOptions, FaultyNetwork, FaultyTransport
from .marbles import Event, Marbles, Recording
from .network import VirtualNetwork
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
    "VirtualNetwork",
]
