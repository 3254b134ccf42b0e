"""Event loops that cannot watch what several sockets have to read: a thread reads then, and that is said."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import rx_multicast_ipc as ipc

from ...helpers import PATIENCE, nothing_left_behind

LAYERS: dict[str, dict[str, Any]] = {
    "raw": {},
    "reliable": {"reliable": True},
    "sealed": {"key": ipc.Key(bytes(range(32)))},
    "presence": {"presence": "ann"},
}

NewLoop = Callable[[], asyncio.AbstractEventLoop]


class WithoutReaders(asyncio.SelectorEventLoop):
    """A loop that cannot watch descriptors, as the default one of Windows."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        raise NotImplementedError


if sys.platform == "win32":
    LOOPS: list[NewLoop] = [asyncio.ProactorEventLoop, asyncio.SelectorEventLoop]
else:
    LOOPS = [WithoutReaders]


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("new_loop", LOOPS)
def test_where_the_loop_cannot_watch_sockets_a_thread_reads_and_that_is_said(
    port: int, new_loop: NewLoop, layers: str, caplog: pytest.LogCaptureFixture
) -> None:
    if layers == "sealed":
        pytest.importorskip("cryptography")

    async def main() -> None:
        options: Any = {"read_on": "loop", **LAYERS[layers]}
        threads: set[int] = set()
        async with ipc.open_channel(port, **options) as one, ipc.open_channel(port, **options) as other:
            one.messages.subscribe(lambda _: threads.add(threading.get_ident()))
            heard, values = aiter(one.messages), aiter(one.latest("price", int))
            await one.broadcast("own")
            assert (await anext(heard)).text == "own"
            await other.broadcast("others'")
            message = await anext(heard)
            assert message.text == "others'"
            await one.reply(message, "an answer")
            answer = await other.wait_for_message(lambda m: m.direct, timeout=PATIENCE)
            assert (answer.text, answer.sender) == ("an answer", one.sender_address)
            poses = aiter(one.topic("pose", int).stream)
            await other.topic("pose", int).publish(7)
            assert await anext(poses) == 7
            await other.latest("price", int).set(42)
            assert await anext(values) == 42
            if layers == "presence":
                members = aiter(one.members)
                while len(await anext(members)) < 2:
                    pass
        assert threading.get_ident() not in threads

    with nothing_left_behind(), asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(main(), PATIENCE))
    assert f"{new_loop.__name__} cannot watch" in caplog.text
