"""A service without an address: `python examples/request_reply.py serve` in one shell, `... ask 6 7` in another.

Any number of clients ask the group; the service answers each one directly. A number in front tells answers apart.
"""

import sys
from contextlib import suppress
from itertools import count

from reactivex import operators as ops

import rx_multicast_ipc as ipc


def serve(requests: int) -> None:
    """Multiply, so many times."""

    def answer(question: ipc.Message) -> str:
        _, number, a, b = question.text.split()
        return f"product {number} {int(a) * int(b)}"

    with ipc.open_channel(port=61090) as channel:
        print("serving", flush=True)
        answers = channel.messages.pipe(
            ops.filter(lambda m: m.text.startswith("multiply ")),
            ops.take(requests),
            ops.flat_map(lambda m: channel.reply(m, answer(m))),
        )
        ipc.run(answers)


def ask(a: int, b: int) -> None:
    """Ask for one product, three times at most."""
    number = next(numbers)
    with ipc.open_channel(port=61090) as channel:
        question = f"multiply {number} {a} {b}"
        asked = channel.request(question, lambda m: m.text.startswith(f"product {number} "), timeout=1)
        product = ipc.run(asked.pipe(ops.retry(3), ops.map(lambda m: int(m.text.split()[2]))))
        print(f"{a} x {b} = {product}")


numbers = count(1)

if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        if sys.argv[1:2] == ["serve"]:
            serve(requests=int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
        else:
            ask(*(int(word) for word in sys.argv[2:4] or (6, 7)))
