"""NATS: its text protocol, on a thread of the connection's own, without another library.

Why not nats-py: behind a channel it takes 1.3 to 1.7 times as long for a round trip, 3 times the CPU to receive, and 4
to 10 times as much for lists; and it takes sends while the server is away, and sends them late. The figures, their
machine, and what would be given up, are in docs/engines.md ("Why not nats-py"); ``python -m benchmarks.engines``
measures them again.
"""
