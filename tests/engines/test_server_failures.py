"""What becomes of channels while servers die, come back, and receivers stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from ..nats_servers import NatsServer, free_tcp_port
from .helpers import PATIENCE, NumberSender, alone, check_account, make_stream, send_until_accepted, until

SOAK = "RX_MULTICAST_IPC_SOAK" in os.environ


def test_a_server_that_is_killed_and_comes_back_costs_what_is_counted(own_server: NatsServer, port: int) -> None:
    changes: list[str] = []
    heard: list[int] = []
    with (
        ipc.open_channel(port, interface=alone(own_server.url, "sender")) as sending,
        ipc.open_channel(port, interface=alone(own_server.url, "receiver")) as receiving,
    ):
        receiving.events.subscribe(lambda event: changes.append(str(getattr(event, "change", event))))
        receiving.messages.subscribe(lambda m: heard.append(int(m.data)))
        sender = NumberSender(sending)
        for turn in range(1, 4):
            before = len(heard)
            until(lambda before=before: len(heard) > before + 100)
            own_server.kill()
            until(lambda turn=turn: changes.count("down") == turn)
            until(lambda: sending.transport.statistics.refused)
            own_server.start()
            until(lambda turn=turn: changes.count("up") == turn)
        before = len(heard)
        until(lambda: len(heard) > before + 100)
        sender.stop()
        until(lambda: heard[-1] == sender.accepted[-1])
        check_account(sender, heard, receiving.statistics)
    assert sender.refused > 0
    assert changes == ["down", "up"] * 3


@pytest.mark.parametrize("starts_at", [(0, 0), (0, 1), (1, 0)], ids=str)
def test_the_clients_of_a_server_that_dies_move_to_another_one(starts_at: tuple[int, int], port: int) -> None:
    routes = free_tcp_port(), free_tcp_port()
    peers = ", ".join(f"nats://127.0.0.1:{route}" for route in routes)
    configs = [
        f"server_name: s{place}\ncluster {{ name: both, listen: 127.0.0.1:{route}, routes: [{peers}] }}"
        for place, route in enumerate(routes)
    ]
    with NatsServer(configs[0]) as one, NatsServer(configs[1]) as two:
        servers = one, two
        urls = [f"{servers[first].url},{servers[1 - first].url.removeprefix('nats://')}" for first in starts_at]
        heard: list[int] = []
        with (
            ipc.open_channel(port, interface=alone(urls[0], "sender")) as sending,
            ipc.open_channel(port, interface=alone(urls[1], "receiver")) as receiving,
        ):
            receiving.messages.subscribe(lambda m: heard.append(int(m.data)) if m.data.isdigit() else None)
            until(lambda: ipc.run(sending.broadcast("are the two one?")) or receiving.transport.statistics.received)
            lost = receiving.statistics.lost
            sender = NumberSender(sending)
            until(lambda: len(heard) > 100)
            servers[starts_at[0]].kill()
            last = len(heard)
            until(lambda: len(heard) > last + 200)
            sender.stop()
            until(lambda: heard[-1] == sender.accepted[-1])
            assert lost == 0
            check_account(sender, heard, receiving.statistics)


@contextmanager
def killed_at_the_end(process: subprocess.Popen[str]) -> Generator[None]:
    try:
        yield
    finally:
        process.kill()


STOPPED = """
import json, sys
import rx_multicast_ipc as ipc
heard = []
with ipc.open_channel(int(sys.argv[1]), interface=sys.argv[2]) as channel:
    channel.messages.subscribe(lambda m: heard.append(m.text))
    ipc.run(channel.broadcast("here"))
    ipc.run(channel.wait_for_message(lambda m: m.text == "end"))
    told = [text for text in heard if text.startswith("x")]
    print(json.dumps([len(told), channel.statistics.lost, told == sorted(told)]))
"""


def test_a_receiver_that_is_stopped_delays_nobody_and_counts_what_it_lost(port: int) -> None:
    with (
        NatsServer('max_pending: 1MB\nwrite_deadline: "500ms"') as server,
        ipc.open_channel(port, interface=alone(server.url, "sender")) as sending,
        ipc.open_channel(port, interface=alone(server.url, "receiver")) as receiving,
    ):
        with (
            subprocess.Popen(
                [sys.executable, "-c", STOPPED, str(port), server.url], stdout=subprocess.PIPE, text=True
            ) as process,
            killed_at_the_end(process),
        ):
            ipc.run(receiving.wait_for_message(lambda m: m.text == "here", timeout=PATIENCE))
            process.send_signal(signal.SIGSTOP)
            heard: list[str] = []
            receiving.messages.subscribe(lambda m: heard.append(m.text[:7]))
            filling = "." * 20_000
            for number in range(1500):  # 30 MB: more than sockets and the server keep for it
                ipc.run(sending.broadcast(f"x{number:06}{filling}"))
                until(lambda number=number: len(heard) > number - 10)  # and little for who listens
            until(lambda: len(heard) == 1500)
            process.send_signal(signal.SIGCONT)
            until(lambda: ipc.run(sending.broadcast("end")) or process.poll() is not None)
            out, _ = process.communicate()
        told, lost, in_order = json.loads(out)
        assert receiving.statistics.lost == 0
    assert in_order
    assert lost > 0
    assert told + lost >= 1500  # more where words of the end were sent before it was back


def test_nothing_that_a_stream_acknowledged_is_lost_by_kills(streams: NatsServer, port: int) -> None:
    group = f"rx.224-0-2-1.{port}.>"
    make_stream(streams.url, "HISTORY", group)
    count = 5000 if SOAK else 300
    kills = {count // 4, count // 2, 3 * count // 4}
    live: list[str] = []
    watching = ipc.messages(port, interface=streams.url, since="all").subscribe(lambda m: live.append(m.text))
    with ipc.open_channel(port, interface=streams.url) as channel:
        for number in range(count):
            if number in kills:
                streams.kill()
                streams.start()
            message = channel.broadcast(f"{number}", acknowledged=True)
            kept = message.pipe(ipc.operators.retry_with_backoff(100, first=0.02, longest=0.2))
            (stream, _), *_ = ipc.run(kept).by
            assert stream == "HISTORY"
    expected = [str(number) for number in range(count)]
    kept = ipc.messages(port, interface=streams.url, since="all", until_now=True).pipe(ops.to_list())
    assert [message.text for message in ipc.run(kept)] == expected
    until(lambda: len(live) >= count)
    watching.dispose()
    assert live == expected


def test_a_channel_that_waits_when_the_server_dies_goes_on_waiting(own_server: NatsServer, port: int) -> None:
    with (
        ipc.open_channel(port, interface=alone(own_server.url, "one")) as one,
        ipc.open_channel(port, interface=alone(own_server.url, "other")) as other,
    ):
        waiting = one.wait_for_message(lambda m: m.text == "at last")
        heard: list[str] = []
        waiting.subscribe(lambda m: heard.append(m.text))
        own_server.kill()
        own_server.start()
        until(lambda: send_until_accepted(other, "at last") or heard)
    assert heard == ["at last"]
