"""Who leads? The bully algorithm: `python examples/election.py 1` in one shell, `... 2` in another, and so on.

The highest number leads, and the others notice when it is gone (H. Garcia-Molina, Elections in a Distributed
Computing System, 1982). Every process needs a number of its own. Ctrl-C ends one.
"""

import sys
from contextlib import suppress

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc


def election(channel: ipc.Channel, me: int, beat: float = 1.0) -> rx.Observable[int]:
    """Take part as number ``me``; who leads, whenever that changes. A leader gives a sign of life every ``beat``."""

    def number(message: ipc.Message) -> int:
        _, _, digits = message.text.partition(":")
        return int(digits) if digits.isdecimal() else me

    asking = channel.messages.pipe(ops.filter(lambda m: m.text.startswith("election:") and number(m) < me))
    leading = channel.messages.pipe(ops.filter(lambda m: m.text.startswith("leader:")), ops.map(number))
    higher = leading.pipe(ops.filter(lambda leader: leader > me))
    lower = leading.pipe(ops.filter(lambda leader: leader < me))

    def elect() -> rx.Observable[int]:
        """Ask three times who is higher; follow if anybody is, else lead; until it is time to ask anew."""
        asked = channel.request(f"election:{me}", lambda m: m.direct and m.text == "alive", timeout=beat)
        role = asked.pipe(ops.retry(3), ops.map(lambda _: follow()), ops.catch(lambda _error, _: rx.just(lead())))
        return role.pipe(ops.merge_all())

    def follow() -> rx.Observable[int]:
        silence = higher.pipe(ops.timeout(5 * beat, rx.empty()))
        return silence.pipe(ops.take_until(rx.merge(asking, lower)))

    def lead() -> rx.Observable[int]:
        signs = rx.timer(0.0, beat).pipe(ops.flat_map(lambda _: channel.broadcast(f"leader:{me}")))
        return signs.pipe(ops.map(lambda _: me), ops.take_until(higher))

    answers = asking.pipe(ops.flat_map(lambda m: channel.reply(m, "alive")), ops.ignore_elements())
    leaders = rx.defer(lambda _: elect()).pipe(ops.repeat(), ops.distinct_until_changed())
    return rx.merge(answers, leaders)


if __name__ == "__main__":
    me = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    beat = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    leaders = ipc.with_socket(
        lambda channel: election(channel, me, beat).pipe(
            ops.do_action(lambda leader: print(f"{leader} leads", flush=True))
        )
    )
    with suppress(KeyboardInterrupt):
        ipc.run(leaders)
