"""Groups on Zenoh: a client of a router, by the package ``eclipse-zenoh``."""
