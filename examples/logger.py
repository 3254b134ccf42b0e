"""Logger bot: prints what everyone says to the group, until the arena closes."""

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc

with ipc.open_channel(echo=False) as channel:
    audit = channel.messages.pipe(
        ops.take_while(lambda m: m.text != "arena:closed"),
        ops.do_action(lambda m: print(f"logger: {m.address}:{m.port} said {m.text!r}", flush=True)),
    )
    ipc.run(rx.merge(audit, channel.broadcast("ready:logger")))
