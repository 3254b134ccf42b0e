"""Bridges: two segments, or a segment and an engine, as one.

``bridge.py`` is what users hold. ``driver.py`` (its life, its role) and ``carrier.py`` (messages) are the shell of
sockets, threads and timers around ``machine.py``, which knows who carries (``spanning_tree.py``), what has crossed
which bridges, and what nobody carried (``uncarried.py``); ``end_table.py`` knows which end stands for whom, and
``side.py`` what is open on each side.
"""

from .bridge import Bridge, bridge
from .role_and_statistics import BridgeRole, BridgeStatistics

__all__ = ["Bridge", "BridgeRole", "BridgeStatistics", "bridge"]
