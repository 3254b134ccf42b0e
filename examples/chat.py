"""A chat room for asyncio programs: `python examples/chat.py Ann` in each of several shells. Ctrl-D leaves."""

import asyncio
import sys
from contextlib import suppress

import rx_multicast_ipc as ipc


async def hear(channel: ipc.Channel) -> None:
    async for message in ipc.to_async_iterable(channel.messages):
        print(message.text, flush=True)


async def chat(name: str) -> None:
    async with ipc.open_channel(port=61092) as channel:
        hearing = asyncio.create_task(hear(channel))
        await asyncio.sleep(0)  # let it subscribe, so that it hears us come in
        await channel.broadcast(f"* {name} came in")
        while line := await asyncio.to_thread(sys.stdin.readline):
            await channel.broadcast(f"{name}: {line.strip()}")
        await channel.broadcast(f"* {name} left")
        hearing.cancel()
        with suppress(asyncio.CancelledError):
            await hearing


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(chat(sys.argv[1] if len(sys.argv) > 1 else "Ann"))
