"""NATS: its text protocol on a thread of the connection's own, without another library."""
