"""Event loops on threads of their own, and ends of groups that they read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

from rx_multicast_ipc import ChannelOptions, Group
from rx_multicast_ipc.transport import Hears, OpenTransport, Transport

T = TypeVar("T")


def on_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run on an event loop in debug mode; fail if anything is pending at its end or went wrong on the way."""
    from .helpers import PATIENCE  # here, for other processes import this module, and pytest takes them long

    async def watched() -> T:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        result = await asyncio.wait_for(main, PATIENCE)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= {asyncio.current_task()}
        assert faults == []
        return result

    return asyncio.run(watched(), debug=True)


@cache
def endless_loop() -> asyncio.AbstractEventLoop:
    """One that runs on a daemon thread, until the process ends."""
    loop = asyncio.SelectorEventLoop()
    threading.Thread(target=loop.run_forever, name="event loop", daemon=True).start()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
    return loop


def read_on_a_loop(open_transport: OpenTransport) -> OpenTransport:
    """Has that loop read the ends that ``open_transport`` opens."""

    def open_on_loop(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
        changed: Any = {**options, "read_on": endless_loop()}
        return open_transport(group, changed, hears)

    return open_on_loop
