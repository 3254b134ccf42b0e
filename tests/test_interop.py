"""Python and Node processes talk to each other: this package and npm's multicast-ipc, which it succeeds.

The npm package joins its group on the interface that the system's multicast route picks. So a second pytest
runs these tests, in a network namespace of its own where that is loopback; no packet leaves the namespace.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from base64 import b64encode
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

import rx_multicast_ipc as ipc

from .helpers import PATIENCE, read_all, run
from .npm import Node

THIS: Final = sys.modules[__name__]

OUTSIDE: Final = "RX_MULTICAST_IPC_INTEROP_OUTSIDE"
"""Tells the second pytest which network namespace the first one is in."""

NETWORK: Final = "ip link set lo up && ip route add 224.0.0.0/4 dev lo src 127.0.0.1"

every_payload = pytest.mark.parametrize(
    "payload",
    [
        pytest.param(bytes(range(256)), id="every byte"),
        pytest.param(b"", id="empty"),
        pytest.param(bytes(range(256)) * 255 + bytes(227), id="largest"),
    ],
)


@every_payload
def test_node_waits_for_and_hears_the_very_bytes_that_python_broadcasts(payload: bytes) -> None:
    with ipc.open_channel() as channel, Node("return api.waitForMessage(isNot('decoy')).then(tell);") as node:
        node.expect_listening()
        run(channel.broadcast("decoy"))
        node.expect_listening()
        run(channel.broadcast(payload))
        assert node.heard() == (payload, channel.sender_address)


@every_payload
def test_python_waits_for_and_hears_the_very_bytes_that_node_broadcasts(payload: bytes) -> None:
    broadcast = f"""
        const payload = Buffer.from('{b64encode(payload).decode()}', 'base64');
        return api.broadcast('decoy').then(() => api.broadcast(payload));
    """
    with ipc.open_channel() as channel, Node(broadcast):
        message = run(channel.wait_for_message(lambda m: m.data != b"decoy"))
        assert message.data == payload


def test_a_direct_reply_from_node_reaches_the_channel_that_asked_and_no_other() -> None:
    reply = "return api.waitForMessage(is('question')).then((req) => api.send('answer', req.port, req.address));"
    with ipc.open_channel() as asking, ipc.open_channel() as other, Node(reply) as node:
        heard_by_other: list[ipc.Message] = []
        other.messages.subscribe(heard_by_other.append)
        node.expect_listening()
        answer = run(asking.request("question", lambda m: m.data == b"answer"))
        assert answer.direct is True
        read_all(other, asking)
        assert [m.data for m in heard_by_other] == [b"question", b"end", b"end"]


def test_a_direct_reply_from_python_reaches_the_node_process_that_asked_and_no_channel() -> None:
    ask = """
        const answer = api.waitForMessage(is('answer'));
        return api.broadcast('question').then(() => answer).then(tell);
    """
    with ipc.open_channel() as answering, Node(ask) as node:
        question = run(answering.wait_for_message(lambda m: m.data == b"question"))
        node.expect_listening()
        node.expect_listening()  # its own question came back to it
        with ipc.open_channel() as other:  # what is sent to a shared port goes to who opened it last
            heard_by_other: list[ipc.Message] = []
            other.messages.subscribe(heard_by_other.append)
            run(answering.reply(question, "answer"))
            assert node.heard() == (b"answer", answering.sender_address)
            read_all(other, answering)
            assert [m.data for m in heard_by_other] == [b"end", b"end"]


def test_node_pings_and_python_answers() -> None:
    ping = """
        const pong = api.waitForMessage(is('pong'));
        return api.broadcast('ping').then(() => pong).then(tell);
    """
    with ipc.open_channel() as channel, Node(ping) as node:
        run(channel.wait_for_message(lambda m: m.data == b"ping"))
        node.expect_listening()
        node.expect_listening()  # its own ping came back to it
        run(channel.broadcast("pong"))
        assert node.heard() == (b"pong", channel.sender_address)


def test_python_pings_and_node_answers() -> None:
    pong = "return api.waitForMessage(is('ping')).then(() => api.broadcast('pong'));"
    with ipc.open_channel() as channel, Node(pong) as node:
        node.expect_listening()
        answer = run(channel.request("ping", lambda m: m.data == b"pong"))
        assert answer.port == ipc.DEFAULT_PORT  # npm sends from the port that it shares


def test_python_channels_talk_on_after_node_unbound_and_exited() -> None:
    leave = "return api.waitForMessage(is('leave')).then(() => api.unbind()).then(() => console.log('unbound'));"
    with ipc.open_channel() as one, ipc.open_channel() as other, Node(leave) as node:
        node.expect_listening()
        run(one.broadcast("leave"))
        assert node.line() == "unbound"
        assert node.exit_code() == 0
        run(one.broadcast("still here"))
        assert run(other.wait_for_message(lambda m: m.data == b"still here")).sender == one.sender_address


def test_node_hears_the_other_python_channels_after_one_unbound() -> None:
    stay = "return api.waitForMessage(is('still here')).then(tell);"
    with ipc.open_channel() as leaving, ipc.open_channel() as staying, Node(stay) as node:
        node.expect_listening()
        run(leaving.unbind())
        run(staying.broadcast("still here"))
        assert node.heard() == (b"still here", staying.sender_address)


CONVERSE: Final = "return api.waitForMessage(is('from Python')).then(() => api.broadcast('from Node'));"


def test_python_opens_the_port_that_node_has_open_and_both_hear_each_other() -> None:
    with Node(CONVERSE) as node:
        node.expect_listening()
        with ipc.open_channel() as channel:
            run(channel.request("from Python", lambda m: m.data == b"from Node"))


def test_node_opens_the_port_that_python_has_open_and_both_hear_each_other() -> None:
    with ipc.open_channel() as channel, Node(CONVERSE) as node:
        node.expect_listening()
        run(channel.request("from Python", lambda m: m.data == b"from Node"))


def test_node_hears_what_is_published_to_a_topic() -> None:
    with ipc.open_channel() as channel, Node("return api.waitForMessage(() => true).then(tell);") as node:
        node.expect_listening()
        run(channel.topic("robot/pose").publish({"x": 1.5}))
        assert node.heard() == (b'robot/pose\0{"x":1.5}', channel.sender_address)


def test_a_topic_hears_what_node_says_to_it() -> None:
    say = """
        return api.broadcast('no topic').then(() => api.broadcast('robot/pose\\0' + JSON.stringify({x: 1.5})));
    """
    with ipc.open_channel() as channel:
        values: list[object] = []
        topic = channel.topic("robot/pose")
        with topic.stream.subscribe(values.append), Node(say):
            run(channel.wait_for_message(lambda m: m.data.startswith(b"robot/pose\0")))
        assert values == [{"x": 1.5}]


@pytest.fixture(autouse=True)
def _inside_a_namespace(request: pytest.FixtureRequest) -> None:  # pyright: ignore[reportUnusedFunction]
    """Outside, what a test does is replaced by the result that it had inside."""
    outside = os.environ.get(OUTSIDE)
    if outside is not None:
        assert outside != network_namespace(), "not in a namespace of its own"
        return
    results: dict[str, str] = request.getfixturevalue("results_inside")
    request.node.obj = partial(report, results[request.node.name])


def report(failure: str, **_parameters: object) -> None:
    if failure:
        pytest.fail(failure, pytrace=False)


@pytest.fixture(scope="session")
def results_inside(
    request: pytest.FixtureRequest,
    enter_namespace: list[str],
    node_modules: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """How each selected test of this file failed inside; nothing for one that passed."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function) and item.module is THIS]
    results = tmp_path_factory.mktemp("interop") / "results.xml"
    options = ["--override-ini=addopts=", "--override-ini=junit_logging=out-err", "-pno:cacheprovider"]
    options += ["--override-ini=junit_log_passing_tests=false", f"--junit-xml={results}"]
    environment = {OUTSIDE: network_namespace(), "NODE_PATH": str(node_modules), "PYTEST_ADDOPTS": ""}
    environment["NODE_NO_WARNINGS"] = "1"  # npm's package uses what Node deprecated
    inner = subprocess.Popen(
        [*enter_namespace, sys.executable, "-m", "pytest", *options, *(f"{test.path}::{test.name}" for test in tests)],
        cwd=request.config.rootpath,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a process group, so that its Node processes can be ended with it
    )
    with inner:
        try:
            output, _ = inner.communicate(timeout=2 * PATIENCE * len(tests))
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(inner.pid, signal.SIGKILL)
            raise
    failures = {test.name: f"it was not run inside the namespace:\n{output}" for test in tests}
    for case in ElementTree.parse(results).iter("testcase") if results.exists() else ():
        passed = len(case) == 0  # in JUnit's format what is wrong with a test case is in its children
        failures[case.attrib["name"]] = "" if passed else "\n".join(["inside the namespace:", *case.itertext()])
    return failures


def network_namespace() -> str:
    return os.readlink("/proc/self/ns/net")


@pytest.fixture(scope="session")
def enter_namespace() -> list[str]:
    """The start of a command line: what follows runs in a new network namespace."""
    for tool in ("unshare", "ip"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs a network namespace (Linux), and there is no {tool} here")
    refusals: list[str] = []
    for option in ("-n", "-Urn"):  # the second one for who is not root
        enter = ["unshare", option, "sh", "-c", f'{NETWORK} && exec "$@"', "sh"]
        attempt = subprocess.run([*enter, "true"], capture_output=True, text=True, timeout=PATIENCE, check=False)
        if attempt.returncode == 0:
            return enter
        refusals.append(attempt.stderr.strip())
    pytest.skip(f"cannot make a network namespace: {'; '.join(refusals)}")
