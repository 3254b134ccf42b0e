"""Recording messages to pcap files, and playing anyone's captures as messages.

``write`` makes nanosecond pcap files that Wireshark and tcpdump open. ``read`` takes those, and what others captured:
pcap and pcapng, from Ethernet, Linux cooked, loopback and raw IP links.

    from rx_multicast_ipc import capture

    channel.messages.pipe(capture.write("today.pcap", channel)).subscribe(...)
    capture.read("today.pcap", speed=2.0).subscribe(...)
"""

from .captured_datagram import Datagram
from .playback import read
from .reader import Progress, Reader
from .recording import write
from .writer import Writer

__all__ = ["Datagram", "Progress", "Reader", "Writer", "read", "write"]
