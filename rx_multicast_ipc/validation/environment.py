"""Environment variables: they say what calls leave out, so that a whole program can be moved without a change to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeVar

from ..errors import InvalidArgument
from .arguments import shown
from .secrets_in_urls import masked

_T = TypeVar("_T")

PORT: Final = "RX_MULTICAST_IPC_PORT"
"""The UDP port of calls that name none."""

GROUP: Final = "RX_MULTICAST_IPC_GROUP"
"""The group's address for calls that name none."""

INTERFACE: Final = "RX_MULTICAST_IPC_INTERFACE"
"""The interfaces, between commas, or the URL of an engine, of calls that name none."""

KEY: Final = "RX_MULTICAST_IPC_KEY"
"""The file of the key for calls that name none."""


def read(variable: str, parse: Callable[[str], _T], default: _T) -> _T:
    """What ``parse`` makes of an environment variable's text; ``default`` where it is unset or blank.

    Args:
        variable: its name.
        parse: validates, and raises an ``InvalidArgument`` that is made of one text.

    Raises:
        InvalidArgument: the one of ``parse``, which names the variable, too.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except InvalidArgument as error:
        raise type(error)(f"{error} (the environment variable {variable} is {shown(masked(text))})") from None
