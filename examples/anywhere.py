"""People who meet, anywhere: `python examples/anywhere.py Ann 1` and, in another terminal, `... anywhere.py Bob 1`.

The number says how many others there are to meet. Where they meet is for the environment to say, and for nothing else:

    RX_MULTICAST_IPC_INTERFACE=loopback               on this machine, which is the default
    RX_MULTICAST_IPC_INTERFACE=eth0                   on a network
    RX_MULTICAST_IPC_INTERFACE=nats://host:4222       on a NATS server, or a cluster, of any number of networks
    RX_MULTICAST_IPC_INTERFACE=zenoh://host:7447      on a Zenoh router
"""

import sys
from contextlib import suppress

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

import rx_multicast_ipc as ipc


def meet(channel: ipc.Channel, name: str, others: int) -> Observable[None]:
    """Cold: greets each of the others alone, and completes when all were greeted and have greeted."""

    def greet(met: ipc.Message) -> Observable[None]:
        print(f"{name} heard {met.text[5:]} at {met.address}:{met.port}")
        return channel.reply(met, f"hello:{name}")

    def told(greeting: ipc.Message) -> None:
        print(f"{name} was greeted, alone, by {greeting.text[6:]}")

    announcing = rx.timer(0.0, 0.1).pipe(ops.flat_map(lambda _: channel.broadcast(f"here:{name}")))
    greeting = channel.messages.pipe(
        ops.filter(lambda m: m.text.startswith("here:") and m.text != f"here:{name}"),
        ops.distinct(lambda m: m.text),
        ops.take(others),
        ops.flat_map(greet),
    )
    greeted = channel.messages.pipe(
        ops.filter(lambda m: m.direct and m.text.startswith("hello:")),
        ops.distinct(lambda m: m.text),
        ops.take(others),
        ops.do_action(told),
    )
    everybody = rx.merge(greeting, greeted.pipe(ops.map(lambda _: None))).pipe(ops.last())
    return rx.merge(everybody, announcing.pipe(ops.ignore_elements())).pipe(ops.take(1))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    _, who, count = sys.argv
    with suppress(KeyboardInterrupt):
        ipc.run(ipc.with_socket(lambda channel: meet(channel, who, int(count))))
