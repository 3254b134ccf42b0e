"""What stands for sockets, threads and files of this process, so that a copy would stand for nothing."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import Unsupported
from ..strangers.printable_text import shown


class NotCopied:
    """Refuses to be copied and pickled, as ``multiprocessing`` does with the arguments of a process."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:  # which copy.copy and copy.deepcopy call, too
        raise Unsupported(
            f"{shown(self)} is neither copied nor pickled, for what it stands for is open in this process: threads "
            "share it as it is, and another process opens its own, with open_channel() and the same port"
        )
