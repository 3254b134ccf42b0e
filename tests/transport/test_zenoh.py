"""Channels on Zenoh, over a router of the tests' own."""

from __future__ import annotations

import http.server
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from reactivex import Observable
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Zenoh
from rx_multicast_ipc.channel_events import NetworkChange
from rx_multicast_ipc.transport.engine.zenoh import login

from ..helpers import PATIENCE, Seen, finish, python, run, wait_until
from ..nats_servers import free_tcp_port
from ..zenoh_routers import ZenohRouter, needs_zenoh

pytestmark = needs_zenoh


@pytest.fixture(scope="module")
def router() -> Iterator[ZenohRouter]:
    with ZenohRouter() as router:
        yield router


class TestNames:
    @pytest.mark.parametrize(
        ("given", "url", "endpoints"),
        [
            ("zenoh://hub", "zenoh://hub:7447", ("tcp/hub:7447",)),
            ("zenoh://one:1,two:2", "zenoh://one:1,two:2", ("tcp/one:1", "tcp/two:2")),
            ("quic/hub:7447", "quic/hub:7447", ("quic/hub:7447",)),
            (["tcp/one:1", "tcp/two:2"], "tcp/one:1,tcp/two:2", ("tcp/one:1", "tcp/two:2")),
            ("zenoh://[::1]:1", "zenoh://[::1]:1", ("tcp/[::1]:1",)),
        ],
    )
    def test_a_router_is_named_by_a_url_or_endpoints(self, given: str, url: str, endpoints: tuple[str, ...]) -> None:
        engine = Zenoh(given)
        assert (engine.url, engine.endpoints) == (url, endpoints)

    def test_tls_is_spoken_where_it_is_asked_for(self) -> None:
        assert Zenoh("zenoh://hub", tls=True).endpoints == ("tls/hub:7447",)

    @pytest.mark.parametrize("wrong", ["zenoh://", "http://hub", "zenoh://hub:0", "zenoh://a\ud800", 7, "hub:7447"])
    def test_what_is_none_is_refused(self, wrong: str) -> None:
        with pytest.raises(ipc.InvalidInterface):
            Zenoh(wrong)

    @pytest.mark.parametrize("wrong", [{"user": 1}, {"config": 1}, {"tls": 1}, {"block": "yes"}, {"password": b"x"}])
    def test_arguments_of_a_wrong_type_are_refused(self, wrong: dict[str, object]) -> None:
        with pytest.raises(ipc.InvalidOption):
            Zenoh("zenoh://hub", **wrong)  # pyright: ignore[reportArgumentType]

    def test_equal_ones_share_a_session(self) -> None:
        assert hash(Zenoh("zenoh://hub", config={"a": 1})) == hash(Zenoh("zenoh://hub:7447", config={"a": 1}))

    def test_no_secret_is_shown(self) -> None:
        engine = Zenoh("zenoh://ann:secret@hub", config={"token": "secret"})
        group = ipc.Group.of(interface=engine)
        assert "secret" not in f"{engine!r} {engine} {group} {group!r}"
        assert (engine.user, engine.password) == ("ann", "secret")


class TestErrors:
    def opening(self, interface: str | Zenoh) -> ipc.CannotOpen:
        began = time.monotonic()
        with pytest.raises(ipc.CannotOpen) as caught:
            ipc.open_channel(interface=interface)
        assert time.monotonic() - began < PATIENCE
        return caught.value

    def test_nothing_listens(self) -> None:
        assert "nothing listens" in str(self.opening(f"zenoh://127.0.0.1:{free_tcp_port()}"))

    @pytest.mark.parametrize("host", ["no.such.host.invalid", "two..dots", "a" * 300])
    def test_a_host_that_is_not_known(self, host: str) -> None:
        assert "no host" in str(self.opening(f"zenoh://{host}"))

    def test_an_http_server(self) -> None:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Silent) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                assert "an HTTP server" in str(self.opening(f"zenoh://127.0.0.1:{server.server_port}"))
            finally:
                server.shutdown()
                thread.join()

    def test_something_that_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            assert "says nothing" in str(self.opening(f"zenoh://127.0.0.1:{silent.getsockname()[1]}"))

    def test_a_wrong_password(self, tmp_path: Path) -> None:
        (tmp_path / "users").write_text("ann:right\n")
        login = {"dictionary_file": str(tmp_path / "users"), "user": "router", "password": "x"}
        config = {f"transport/auth/usrpwd/{name}": value for name, value in login.items()}
        with ZenohRouter(**config) as router:
            for engine in (Zenoh(router.url, user="ann", password="wrong-secret"), Zenoh(router.url)):
                error = self.opening(engine)
                assert isinstance(error, ipc.NotAuthorized)
                assert "wrong-secret" not in f"{error!r} {error} {error.__cause__!r}"
            with ipc.open_channel(interface=Zenoh(router.url, user="ann", password="right")) as channel:
                assert "right" not in repr(channel)

    def test_a_configuration_that_is_none(self, router: ZenohRouter) -> None:
        with pytest.raises(ipc.InvalidOption, match="JSON5") as caught:
            ipc.open_channel(interface=Zenoh(router.url, config="{ secret"))
        assert "secret" not in str(caught.value)

    def test_the_package_is_missing(self, router: ZenohRouter, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "zenoh", None)
        with pytest.raises(ipc.MissingExtra, match="zenoh"):
            login.load()


class _Silent(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_processes_talk_and_a_reply_reaches_the_one_who_asked(router: ZenohRouter, port: int) -> None:
    code = (
        "import sys, rx_multicast_ipc as ipc\n"
        "with ipc.open_channel(int(sys.argv[1])) as channel:\n"
        "    channel.respond(lambda m: m.text == 'who?', lambda m: 'me').subscribe()\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    responder = python(code, port, RX_MULTICAST_IPC_INTERFACE=router.url)
    assert responder.stdout is not None
    assert responder.stdout.readline() == "ready\n"
    with (
        ipc.open_channel(port, interface=router.url) as asker,
        ipc.open_channel(port, interface=router.url) as neighbour,
    ):
        overheard = Seen(neighbour.messages)
        answer = run(asker.request("who?", lambda m: m.text == "me", timeout=PATIENCE))
        assert answer.direct
        assert [message.text for message in overheard.wait_for_count(1)] == ["who?"]
    finish(responder)


def test_a_process_ends_with_channels_open_and_its_last_words_arrive(router: ZenohRouter, port: int) -> None:
    code = (
        "import sys, rx_multicast_ipc as ipc\n"
        "channel = ipc.open_channel(int(sys.argv[1]))\n"
        "channel.messages.subscribe(lambda m: None)\n"
        "for number in range(100):\n"
        "    ipc.run(channel.broadcast(f'{number}'))\n"
    )
    with ipc.open_channel(port, interface=router.url) as channel:
        heard = Seen(channel.messages)
        finish(python(code, port, RX_MULTICAST_IPC_INTERFACE=router.url))
        assert [message.text for message in heard.wait_for_count(100)] == [str(number) for number in range(100)]


def network_changes(channel: ipc.Channel) -> Observable[NetworkChange]:
    """What happens to its connection, without who comes and goes."""
    events = channel.events.pipe(ops.filter(lambda event: isinstance(event, ipc.NetworkEvent)))
    return events.pipe(ops.map(lambda event: getattr(event, "change", NetworkChange.DOWN)))


def member_names(seen: Seen[frozenset[ipc.Member]]) -> set[str]:
    """Of the last set."""
    return {member.name for members in seen.values[-1:] for member in members}


def test_a_crash_is_told_at_once_and_the_end_of_the_router_is_none(port: int) -> None:
    code = (
        "import sys, rx_multicast_ipc as ipc\n"
        "with ipc.open_channel(int(sys.argv[1]), presence=ipc.Presence('Bob', interval=3600)):\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    presence = ipc.Presence("Ann", interval=3600)  # so that beats tell nothing
    with ZenohRouter() as router, ipc.open_channel(port, interface=router.url, presence=presence) as ann:
        members, events, changes = Seen(ann.members), Seen(ann.events), Seen(network_changes(ann))
        bob = python(code, port, RX_MULTICAST_IPC_INTERFACE=router.url)
        members.wait_for(lambda seen: member_names(seen) == {"Ann", "Bob"})
        for _ in range(2):
            before = len(changes.values)
            router.kill()
            router.start()
            assert changes.wait_for_count(before + 2)[before:] == [NetworkChange.DOWN, NetworkChange.UP]
        assert not [event for event in events.values if isinstance(event, ipc.Left)]
        # Bob is known to be back once a token of his is seen; before, his end would be no news to the router.
        wait_until(lambda: tokens(router, port) == 2)
        bob.kill()
        members.wait_for(lambda seen: member_names(seen) == {"Ann"})
        left = events.wait_for(lambda seen: any(isinstance(event, ipc.Left) for event in seen.values[-1:])).values[-1:]
        assert [(each.member.name, each.reason) for each in left if isinstance(each, ipc.Left)] == [("Bob", "silent")]
        bob.communicate()


def tokens(router: ZenohRouter, port: int) -> int:
    """How many ends of a group the router knows to be there."""
    session = login.open_session(Zenoh(router.url))
    found = len(list(session.liveliness().get(f"rx/here/*/{port}/**")))
    session.close()
    return found


def test_a_forked_child_is_told_at_once_and_ends_and_its_parent_goes_on(router: ZenohRouter, port: int) -> None:
    code = (
        "import os, sys, warnings, rx_multicast_ipc as ipc\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"  # of forks beside threads, which is what this is about
        "channel = ipc.open_channel(int(sys.argv[1]))\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    assert channel.closed\n"
        "    try:\n"
        "        ipc.open_channel(int(sys.argv[1]))\n"
        "    except ipc.CannotOpen as error:\n"
        "        print('spawn' in str(error), flush=True)\n"
        "    sys.exit(0)\n"
        "code = os.waitpid(child, 0)[1]\n"
        "ipc.run(channel.broadcast('from the parent'))\n"
        "print(ipc.run(channel.wait_for_message()).text, code)\n"
    )
    assert finish(python(code, port, RX_MULTICAST_IPC_INTERFACE=router.url)) == "True\nfrom the parent 0\n"


def test_a_router_that_is_killed_and_comes_back_costs_what_is_counted(router: ZenohRouter, port: int) -> None:
    with ZenohRouter() as router, ExitStack() as stack:
        sender, receiver = (
            stack.enter_context(
                ipc.open_channel(port, interface=Zenoh(router.url, config={"metadata": {"name": name}}))
            )
            for name in ("sender", "receiver")
        )
        heard = Seen(receiver.messages)
        events = Seen(network_changes(receiver))
        numbers = count()
        wait_until(lambda: run(sender.broadcast(f"{next(numbers)}")) or heard.values)  # what came before is not missed
        for again in ("again", "once more"):
            before = len(events.values)
            for _ in range(200):
                run(sender.broadcast(f"{next(numbers)}"))
            router.kill()
            events.wait_for(lambda seen, n=before: NetworkChange.DOWN in seen.values[n:])
            wait_until(lambda: not _accepted(sender, "lost"))
            router.start()
            events.wait_for(lambda seen, n=before: NetworkChange.UP in seen.values[n:])
            wait_until(lambda again=again: _accepted(sender, again))
            heard.wait_for(lambda seen, again=again: seen.values and seen.values[-1].text == again)
        told = [int(message.text) for message in heard.values if message.text.isdecimal()]
        assert told == sorted(set(told))
        assert receiver.statistics.lost == sender.statistics.sent - told[0] - len(heard.values)


def _accepted(channel: ipc.Channel, text: str) -> bool:
    try:
        run(channel.broadcast(text))
    except ipc.SendFailed:
        return False
    return True


def test_a_receiver_that_stopped_delays_nobody_and_counts_what_it_lost(router: ZenohRouter, port: int) -> None:
    code = (
        "import sys, threading, rx_multicast_ipc as ipc\n"
        "heard, end = 0, threading.Event()\n"
        "def hear(message):\n"
        "    global heard\n"
        "    heard += 1\n"
        "    if message.data == b'end':\n"
        "        end.set()\n"
        "with ipc.open_channel(int(sys.argv[1]), echo=False) as channel:\n"
        "    channel.messages.subscribe(hear)\n"
        "    print('ready', flush=True)\n"
        "    end.wait()\n"
        "    print(heard + channel.statistics.lost, channel.statistics.lost, flush=True)\n"
    )
    others = [python(code, port, RX_MULTICAST_IPC_INTERFACE=router.url) for _ in range(3)]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    stopped = others[0]
    watching = Zenoh(router.url, config={"metadata": {"name": "on a session of its own"}})
    with ipc.open_channel(port, interface=router.url) as channel, ipc.open_channel(port, interface=watching) as watcher:
        heard = Seen(watcher.messages)
        stopped.send_signal(signal.SIGSTOP)
        slowest = 0.0
        for number in range(1500):
            began = time.monotonic()
            run(channel.broadcast(b"%04d" % number + bytes(8000)))
            slowest = max(slowest, time.monotonic() - began)
            if number % 5 == 4:  # no faster than who listens here takes it
                heard.wait_for_count(number + 1)
        stopped.send_signal(signal.SIGCONT)
        run(channel.broadcast("end"))

        def told() -> bool:  # "end" may be among what one lost
            run(channel.broadcast("end"))
            return all(other.poll() is not None for other in others)

        wait_until(told)
        found = [tuple(map(int, finish(other).split())) for other in others]
        print(f"slowest send {slowest * 1000:.0f} ms, the stopped one lost {found[0][1]}, others {found[1:]}")
        assert min(heard_and_lost for heard_and_lost, _ in found) >= 1501
        assert found[0][1] > max(lost for _, lost in found[1:])  # which may be behind now and then
