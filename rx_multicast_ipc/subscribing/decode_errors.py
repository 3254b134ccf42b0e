"""What becomes of a datagram that cannot be decoded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from ..errors import DecodeFailed, InvalidOption
from ..message import Message
from ..strangers.rate_limit import LogLimit
from ..validation.arguments import check_callable, shown

OnDecodeError = Literal["log", "skip", "raise"] | Callable[[DecodeFailed], None]
"""What becomes of a datagram that cannot be decoded."""

_log = logging.getLogger("rx_multicast_ipc")

_log_limit = LogLimit(lambda line: _log.warning("%s", line))
"""Of all streams together: anybody can send what cannot be decoded, and as much of it as they like."""


def decode_error_handler(on_error: OnDecodeError, kind: str, where: str = "") -> Callable[[Message, Exception], None]:
    """What takes the messages that cannot be decoded, each with the reason, and raises what is to end the stream.

    Args:
        on_error: see :data:`OnDecodeError`.
        kind: of what is logged together.
        where: begins the line in the log.

    Raises:
        InvalidOption: ``on_error`` is none of these.
    """
    tell = _teller(on_error, kind, where)

    def handle(message: Message, error: Exception) -> None:
        failure = DecodeFailed(message, error)
        failure.__cause__ = error
        tell(failure)

    return handle


def _teller(on_error: OnDecodeError, kind: str, where: str) -> Callable[[DecodeFailed], None]:
    if callable(on_error):
        return check_callable("on_error", on_error, ("a DecodeFailed",), 'on_error="skip", or on_error=print')
    if not isinstance(on_error, str) or on_error not in ("log", "skip", "raise"):
        raise InvalidOption(f'on_error is "log", "skip", "raise" or a callable, not {shown(on_error)}')

    def tell(failure: DecodeFailed) -> None:
        if on_error == "raise":
            raise failure
        if on_error == "log":
            _log_limit.log(kind, lambda: f"{where}{failure}")

    return tell


def flush_log(kind: str) -> None:
    """Log how many of a kind there were since its last line, for a stream that ends."""
    _log_limit.flush(kind)
