"""Reliable channels between hosts that lose packets, beside others that deliver without loss. As root, on Linux."""
