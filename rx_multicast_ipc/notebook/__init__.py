"""Live traffic in Jupyter: a view that moves, pictures of what was recorded, tables of it.

``live`` needs the extra ``notebook``; everything else needs nothing, and ``to_frame`` pandas or polars.
"""

from .collecting import collect
from .data_frame import to_frame
from .live_view import Live, live
from .marble_diagram import MarbleDiagram, marbles

__all__ = ["Live", "MarbleDiagram", "collect", "live", "marbles", "to_frame"]
