"""What strangers send is not trusted: decoding, printing, keeping, answering and logging it, each in one place.

Anybody who can reach the port can send any bytes from any forged address. So whatever comes from a datagram, and names
that the system reports of other programs, goes through here:

- :mod:`.decoding`: bytes to a value, or None; no datagram raises.
- :mod:`.printable_text`: text that cannot steer a terminal or forge a line.
- :mod:`.bounded_map`: what is kept of each sender, for a bounded number of senders.
- :mod:`.rate_limit`: how much is answered, and how often something is logged.
- :mod:`.safe_log`: the library's logger, whose records are printable.

A test holds the command line to these.
"""
