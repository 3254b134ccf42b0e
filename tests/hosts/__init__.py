"""Hosts for tests: network namespaces on a switch, which leave nothing behind, whatever ends the tests.

    with hosts(3) as (a, b, c):
        with a.entered():
            channel = ipc.open_channel(interface="eth0")
        process = b.python(code)

Nothing is done to the network of the machine itself: links are made inside namespaces, and the namespaces have no
names. Where they cannot be had the test is skipped, with the reason.
"""

from .faults import Fault
from .host import Host
from .network import Network
from .router import Router
from .sniffer import Packet, Sniffer
from .start import hosts

__all__ = ["Fault", "Host", "Network", "Packet", "Router", "Sniffer", "hosts"]
