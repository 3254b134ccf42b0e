"""What a bounded queue does when it is full."""

from __future__ import annotations

import enum
from typing import Literal

OverflowName = Literal["drop_oldest", "drop_latest", "error"]
"""An ``Overflow`` as text."""


class Overflow(enum.StrEnum):
    """What a bounded queue does when it is full."""

    DROP_OLDEST = "drop_oldest"
    """Let the oldest queued item go: the reader sees the newest."""

    DROP_LATEST = "drop_latest"
    """Let the arriving item go: the reader sees the oldest."""

    ERROR = "error"
    """End the stream with ``BufferOverflow``, after what is queued."""
