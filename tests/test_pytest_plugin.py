"""The fixtures as a user's suite sees them: each test here runs a small suite of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

import rx_multicast_ipc as ipc

# Loaded here, so that the suites within need not do it each for itself.
import rx_multicast_ipc.testing  # pyright: ignore[reportUnusedImport]

from .helpers import ROOT, THOROUGH

pytest_plugins = ["pytester"]

SUITE = """
import pytest
import reactivex as rx
from reactivex import operators as ops

pytestmark = [pytest.mark.marbles(frame=0.1), pytest.mark.virtual_network(latency=0.2)]
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider -p no:xdist -p no:hypothesispytest\n")
    return pytester


def run(suite: pytest.Pytester, test: str) -> pytest.RunResult:
    suite.makepyfile(SUITE + test)
    return suite.runpytest_inprocess()


def test_a_protocol_is_tested_in_virtual_time_and_without_threads(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
import threading

def test_welcome(marbles, virtual_network):
    threads = threading.active_count()
    bot, player = (virtual_network.open_channel(host=f"10.0.0.{n}") for n in (1, 2))
    bot.messages.pipe(ops.flat_map(lambda m: bot.reply(m, f"Welcome {m.text}!"))).subscribe()
    asking = marbles.hot("a 1h b|", a="Ann", b="Bob")
    marbles.expect(virtual_network.sends(bot)).to_be(
        "--a 1h b", a=("Welcome Ann!", player.sender_address), b=("Welcome Bob!", player.sender_address)
    )
    marbles.expect(asking.subscriptions).to_be("^ 1h -!")
    asking.pipe(ops.flat_map(player.broadcast)).subscribe()
    assert bot.scheduler is marbles.scheduler
    marbles.run()
    assert threading.active_count() <= threads

def test_messages(marbles):
    said = marbles.messages("a-b|", a="join:Ann", b=("ping", "10.0.0.2"))
    marbles.expect(said.pipe(ops.map(lambda m: (m.text, m.address, m.received_at)))).to_be(
        "a-b|", a=("join:Ann", "10.0.0.1", 0.0), b=("ping", "10.0.0.2", 0.2)
    )
""",
    )
    result.assert_outcomes(passed=2)


def test_code_that_calls_the_package_directly_is_on_the_virtual_network_for_one_test(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
import threading
import rx_multicast_ipc as ipc

hosts = []

def welcome():
    joins = ipc.messages().pipe(ops.filter(lambda m: m.text.startswith("join:")))
    return joins.pipe(ops.flat_map(lambda m: ipc.send(f"Welcome {m.text[5:]}!", m.port, m.address)))

def test_it(marbles, virtual_network, on_virtual_network):
    threads = threading.active_count()
    player = virtual_network.open_channel(host="10.0.0.2")
    marbles.expect(player.messages.pipe(ops.filter(lambda m: m.direct))).to_be(
        "-----a", a=("Welcome Ann!", on_virtual_network)
    )
    joined = ipc.with_socket(lambda api: api.wait_for_message(lambda m: m.text == "join:Ann", timeout=9))
    marbles.expect(joined).to_be("---(a|)", a="join:Ann")
    marbles.expect(ipc.broadcast("news")).to_be("(a|)", a=None)
    marbles.record(welcome())
    marbles.record(marbles.hot("-a", a="join:Ann").pipe(ops.flat_map(player.broadcast)))
    marbles.run()
    assert threading.active_count() <= threads
    hosts.append(on_virtual_network)
    hosts.append(ipc.open_channel())

def test_after_it():
    address, left_open = hosts
    assert address.startswith("10.") and left_open.closed
    with ipc.open_channel(group="239.255.61.88") as channel:
        assert channel.sender_address[0] == "127.0.0.1"
""",
    )
    result.assert_outcomes(passed=2)


def test_what_differs_is_a_failure_of_the_test_drawn_at_the_line_that_expected(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
def test_late(marbles):
    letters = marbles.hot("a--b|", b="Bob")
    marbles.expect(letters.pipe(ops.delay(0.2))).to_be("--a-b|", b="Bob")
    other = 1
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "    def test_late(marbles):",
            '        letters = marbles.hot("a--b|", b="Bob")',
            '>       marbles.expect(letters.pipe(ops.delay(0.2))).to_be("--a-b|", b="Bob")',
            "E       AssertionError: 'Bob' was expected at 0.4 s and came at 0.5 s",
            "E         expected  --a-b|",
            "E         actual    --a--b|",
            "E           b = 'Bob'",
            "",
            "test_*.py:9: AssertionError",
        ],
        consecutive=True,
    )


FAILURES = {
    "another value": (
        'marbles.expect(marbles.cold("-a|", a="Bo")).to_be("-a|", a="Bob")',
        [
            "'Bo' came at 0.1 s instead of 'Bob'",
            "expected  -a|",
            "actual    -b|",
            "a = 'Bob'  (expected)",
            "b = 'Bo'  (actual)",
        ],
    ),
    "another error": (
        'marbles.expect(marbles.cold("#", error=ValueError("x"))).to_be("#", error=RuntimeError("x"))',
        [
            "ValueError('x') came at 0 s instead of RuntimeError('x')",
            "# = RuntimeError('x')  (expected)",
            "# = ValueError('x')  (actual)",
        ],
    ),
    "more than was expected": (
        'marbles.expect(rx.interval(0.1)).to_be("-0|", {"0": 0})',
        ["1 came at 0.2 s instead of completion", "expected  -0|", "actual    -0123456", "and 9 more"],
    ),
    "more than was expected, much later": (
        'marbles.expect(rx.timer(0.9)).to_be("--")',
        ["0 came at 0.9 s, after all that was expected", "expected  -------------", "actual    ---------(0|)"],
    ),
    "less than was expected": (
        'marbles.expect(rx.never()).to_be("--a|")',
        ["'a' was expected at 0.2 s and did not come", "expected  --a|", "actual    ----"],
    ),
    "another subscription": (
        'source = marbles.cold("a-b|"); source.pipe(ops.take(1)).subscribe(); '
        'marbles.expect(source.subscriptions).to_be("^--!")',
        ["subscribed or disposed of at other times*", "expected  ^--!", "actual    (^!)"],
    ),
    "never said": ("marbles.expect(rx.never())", ["expect() without to_be() checks nothing*"]),
    "never checked": (
        'marbles.expect(marbles.cold("a--b")).to_be("a--b"); marbles.run(until=0.2)',
        ["not checked beyond 0.2 s, where run() stopped: run until 0.4 s or more"],
    ),
    "never played": (
        'marbles.hot("a--b|"); marbles.run(until=0.2)',
        ["2 of 3 marbles were not played when run() stopped at 0.2 s*"],
    ),
    "another target": (
        "one, two = (virtual_network.open_channel(host=f'10.0.0.{n}') for n in (1, 2)); "
        'marbles.expect(virtual_network.sends(one)).to_be("a", a=("x", "10.0.0.3")); '
        'one.send("x", 7, "10.0.0.2").subscribe()',
        ["a = ('x', '10.0.0.3')  (expected)", "b = ('x', ('10.0.0.2', 7))  (actual)"],
    ),
}


@pytest.mark.parametrize(("test", "picture"), FAILURES.values(), ids=FAILURES)
def test_each_kind_of_failure_fails_its_test_and_is_drawn(
    suite: pytest.Pytester, test: str, picture: list[str]
) -> None:
    result = run(suite, f"\ndef test_it(marbles, virtual_network):\n    {test}\n")
    result.assert_outcomes(failed=1)
    shown = [line.removeprefix("E").strip() for line in result.outlines if line.startswith("E ")]
    for line in picture:
        wanted = line.rstrip("*")
        assert any(one.removeprefix("AssertionError: ").startswith(wanted) for one in shown), (line, shown)
    assert not any("rx_multicast_ipc/" in line for line in result.outlines), "lines of the kit itself are shown"


def test_a_text_that_is_no_marbles_is_shown_at_the_line_that_wrote_it(suite: pytest.Pytester) -> None:
    result = run(suite, '\ndef test_it(marbles):\n    marbles.hot("a?b")\n')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['>*marbles.hot("a?b")', "E *InvalidOption: '?' at 1 of 'a?b' is no marble*"])
    result.stdout.fnmatch_lines(["test_*.py:8: InvalidOption"])


def test_the_tests_own_failure_comes_first(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
def test_fails(marbles):
    marbles.expect(marbles.hot("a")).to_be("b")
    assert "this" == "that"

def test_raises_in_virtual_time(marbles):
    marbles.hot("a").subscribe(lambda value: {}[value])

@pytest.mark.xfail(strict=True)
def test_is_known_to_fail(marbles):
    marbles.expect(marbles.hot("a")).to_be("b")

def test_skips(marbles):
    marbles.expect(marbles.hot("a")).to_be("b")
    pytest.skip("not today")
""",
    )
    result.assert_outcomes(failed=2, xfailed=1, skipped=1)
    result.stdout.fnmatch_lines(["E *assert 'this' == 'that'", "E *KeyError: 'a'"])
    result.stdout.no_fnmatch_line("*instead of*")


def test_a_run_by_hand_is_checked_where_it_is_run(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
def test_parts(marbles):
    source = marbles.hot("a--b|")
    seen = marbles.record(source)
    marbles.expect(source).to_be("a--b|")
    marbles.run(until=0.2)
    assert seen.values == ["a"]
    marbles.run()
    assert seen.values == ["a", "b"]

def test_fails(marbles):
    marbles.expect(marbles.hot("a")).to_be("b")
    marbles.run()
    raise ZeroDivisionError
""",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [">*marbles.run()", '>*marbles.expect(marbles.hot("a")).to_be("b")', "E *instead of 'b'"]
    )


def test_tests_written_as_classes_have_them_too(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
import unittest

class TestIt(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _marbles(self, marbles):
        self.marbles = marbles

    def test_passes(self):
        self.marbles.expect(self.marbles.hot("a")).to_be("a")

    def test_fails(self):
        self.marbles.expect(self.marbles.hot("a")).to_be("b")

@pytest.mark.marbles(frame=2)
class TestFrame:
    def test_of_the_class(self, marbles):
        assert marbles.frame == 2

    @pytest.mark.marbles(frame=3)
    def test_of_its_own(self, marbles):
        assert marbles.frame == 3
""",
    )
    result.assert_outcomes(passed=3, failed=1)


def test_what_was_tested_is_not_kept_for_the_session(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
import gc, weakref

seen = []

def test_one(marbles, virtual_network):
    channel = virtual_network.open_channel()
    marbles.expect(channel.messages).to_be("-")
    marbles.hot("a").subscribe(lambda _: channel)
    seen.extend([weakref.ref(marbles), weakref.ref(channel)])

def test_two():
    gc.collect()
    assert [reference() for reference in seen] == [None, None]
""",
    )
    result.assert_outcomes(passed=2)


def test_a_mark_written_wrong_is_told(suite: pytest.Pytester) -> None:
    result = run(suite, "\n@pytest.mark.marbles(0.1)\ndef test_it(marbles):\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*@pytest.mark.marbles takes keywords only, not (0.1,)*"])


def test_a_suite_that_does_not_use_the_kit_loads_nothing_of_it(suite: pytest.Pytester) -> None:
    suite.makepyfile("import sys\n\ndef test_it():\n    assert 'rx_multicast_ipc' not in sys.modules\n")
    suite.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_plugin_can_be_turned_off(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_it():\n    pass\n\ndef test_marbles(marbles):\n    pass\n")
    result = suite.runpytest_inprocess("-p", "no:rx_multicast_ipc")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'marbles' not found"])


def test_a_script_has_marbles_without_pytest() -> None:
    code = (
        "import sys\nfrom rx_multicast_ipc.testing import Marbles\n"
        "assert 'pytest' not in sys.modules\n"
        "with Marbles() as marbles:\n    marbles.expect(marbles.cold('-a')).to_be('-b')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.endswith("AssertionError: 'a' came at 1 s instead of 'b'\n  expected  -b\n  actual    -a\n"), (
        result.stderr
    )


def test_a_suite_of_the_packages_own_does_without_the_plugin() -> None:
    names = ("marbles", "expectations", "virtual_network") if THOROUGH else ("marbles",)
    tests = [f"tests/testing/test_{name}.py" for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:rx_multicast_ipc", *tests]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


def test_two_workers_do_not_meet(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        SUITE
        + """
@pytest.mark.parametrize("number", range(20))
def test_it(marbles, virtual_network, number, worker_id):
    assert worker_id in ("gw0", "gw1")
    one, two = (virtual_network.open_channel(host=f"10.0.0.{n}") for n in (1, 2))
    marbles.expect(two.messages).to_be("--a", a=(f"{number}", one.sender_address))
    marbles.expect(virtual_network.datagrams).to_be("a", a=f"{number}")
    one.broadcast(f"{number}").subscribe()
"""
    )
    pytester.runpytest_subprocess("-n", "2", "-p", "no:hypothesispytest").assert_outcomes(passed=20)


SUBSCRIBERS = """
import threading
import rx_multicast_ipc as ipc

def say(channel, *texts):
    heard = threading.Event()
    with channel.messages.subscribe(lambda m: m.text == "end" and heard.set()):
        ipc.run(channel.broadcast_all([*texts, "end"]))
        assert heard.wait(60)

@pytest.fixture
def live():
    with ipc.open_channel(group="239.255.61.89") as channel:
        yield channel

def is_y(m):
    assert m.text in ("y", "end")
"""


@pytest.fixture
def watched(suite: pytest.Pytester) -> Iterator[pytest.Pytester]:
    """A suite in which no hook takes what subscribers raise."""
    before = ipc.set_unhandled_error_hook(None)
    yield suite
    ipc.set_unhandled_error_hook(before)


def test_a_failing_assertion_in_a_subscriber_fails_the_test_and_is_shown_as_its_own(watched: pytest.Pytester) -> None:
    result = run(
        watched,
        SUBSCRIBERS
        + """
def test_live(live):
    live.messages.subscribe(is_y)
    say(live, "x")

def test_virtual(marbles, virtual_network):
    channel = virtual_network.open_channel()
    channel.messages.subscribe(is_y)
    marbles.expect(channel.messages).to_be("a", a="x")
    channel.broadcast("x").subscribe()

def test_run_by_hand(marbles, virtual_network):
    channel = virtual_network.open_channel()
    channel.messages.subscribe(is_y)
    channel.broadcast("x").subscribe()
    marbles.run(until=5)

def test_in_a_timer(live):
    done = threading.Event()
    def late(*_):
        done.set()
        assert 1 == 2
    live.scheduler.schedule_relative(0.01, late)
    assert done.wait(60)
    say(live)

def test_in_an_operator(live):
    live.messages.pipe(ops.map(is_y)).subscribe()
    say(live, "x")

def test_passes(live):
    live.messages.subscribe(is_y)
    say(live, "y")

def test_handled_by_its_stream(live):
    seen = []
    live.messages.pipe(ops.map(is_y)).subscribe(on_error=seen.append)
    say(live, "x")
    assert isinstance(seen[0], AssertionError)
""",
    )
    result.assert_outcomes(failed=5, passed=2)
    result.stdout.fnmatch_lines(
        [
            "_* test_live _*",
            "    def is_y(m):",
            '>       assert m.text in ("y", "end")',
            "E       AssertionError: assert 'x' in *",
        ]
    )
    assert not any("rx_multicast_ipc/" in line or "reactivex" in line for line in result.outlines)


def test_several_subscribers_that_raise_are_all_shown(watched: pytest.Pytester) -> None:
    result = run(
        watched,
        SUBSCRIBERS
        + """
def test_it(live):
    live.messages.subscribe(is_y)
    live.messages.subscribe(lambda m: {}["missing"])
    say(live, "x")
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ExceptionGroup: 2 subscribers raised*"])
    result.stdout.fnmatch_lines(["*AssertionError: assert 'x' in *"])
    result.stdout.fnmatch_lines(["*KeyError: 'missing'"])


def test_what_is_raised_while_fixtures_begin_and_end_is_an_error_of_the_test(watched: pytest.Pytester) -> None:
    result = run(
        watched,
        SUBSCRIBERS
        + """
@pytest.fixture
def at_the_end(live):
    yield live
    say(live, "x")

@pytest.fixture
def at_the_beginning(live):
    live.messages.subscribe(is_y)
    say(live, "x")

def test_ends(at_the_end):
    at_the_end.messages.subscribe(is_y)

def test_begins(at_the_beginning):
    pass
""",
    )
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["_* ERROR at teardown of test_ends _*", "E *AssertionError: assert 'x' in *"])
    result.stdout.fnmatch_lines(["_* ERROR at setup of test_begins _*", "E *AssertionError: assert 'x' in *"])


def test_what_is_raised_after_all_tests_fails_the_session(watched: pytest.Pytester) -> None:
    watched.makeconftest(
        """
from rx_multicast_ipc.subscribing import subscriber_errors

def pytest_runtest_logfinish(nodeid):  # as an I/O thread may, at any moment
    subscriber_errors.report(ValueError("too late"))
"""
    )
    result = run(watched, "\ndef test_it():\n    pass\n")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*subscribers raised after their tests had ended*", "ValueError: too late"])


def test_the_tests_own_failure_comes_first_and_those_of_subscribers_stand_below(watched: pytest.Pytester) -> None:
    result = run(
        watched,
        SUBSCRIBERS
        + """
def test_fails(live):
    live.messages.subscribe(is_y)
    say(live, "x")
    assert "this" == "that"

def test_skips(live):
    live.messages.subscribe(is_y)
    say(live, "x")
    pytest.skip("not today")

@pytest.mark.xfail(strict=True)
def test_is_known_to_fail(live):
    live.messages.subscribe(is_y)
    say(live, "x")
""",
    )
    result.assert_outcomes(failed=2, xfailed=1)
    result.stdout.fnmatch_lines(["E *assert 'this' == 'that'", "-* errors of subscribers call -*", "*AssertionError*"])


def test_what_would_end_pytest_is_a_failure_like_any_other(watched: pytest.Pytester) -> None:
    result = run(
        watched,
        SUBSCRIBERS
        + """
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_live(live, error):
    def end(m):
        raise error
    live.messages.subscribe(end)
    say(live, "x")

def test_virtual(virtual_network):
    channel = virtual_network.open_channel()
    channel.messages.subscribe(lambda m: exit(3))
    channel.broadcast("x").subscribe()

def test_fail(live):
    live.messages.subscribe(lambda m: pytest.fail("not good"))
    say(live, "x")
""",
    )
    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines(["E *RuntimeError: a subscriber raised SystemExit(3)", "E *Failed: not good"])


def test_a_test_may_expect_what_its_subscribers_raise(watched: pytest.Pytester) -> None:
    result = run(
        watched,
        SUBSCRIBERS
        + """
@pytest.mark.subscribers_may_raise
def test_marked(live, caplog):
    live.messages.subscribe(is_y)
    say(live, "x")
    assert "a subscriber raised and was detached" in caplog.text

def test_with_a_hook(live):
    errors = []
    before = ipc.set_unhandled_error_hook(errors.append)
    live.messages.subscribe(is_y)
    say(live, "x")
    ipc.set_unhandled_error_hook(before)
    assert len(errors) == 1

def test_with_the_log(live, caplog):
    ipc.set_unhandled_error_hook(None)
    live.messages.subscribe(is_y)
    say(live, "x")
    assert "a subscriber raised and was detached" in caplog.text

def test_and_the_next_one_fails_again(live):
    live.messages.subscribe(is_y)
    say(live, "x")
""",
    )
    result.assert_outcomes(passed=3, failed=1)


def test_code_that_imports_the_package_only_when_it_runs_is_watched_too(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
import sys, threading

def test_it():
    assert "rx_multicast_ipc" not in sys.modules
    import rx_multicast_ipc as ipc
    heard = threading.Event()
    with ipc.open_channel(group="239.255.61.90") as channel:
        channel.messages.subscribe(lambda m: heard.set() or {}["missing"])
        ipc.run(channel.broadcast("x"))
        assert heard.wait(60)
"""
    )
    result = suite.runpytest_subprocess("-p", "no:hypothesispytest")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *KeyError: 'missing'"])


def test_without_the_plugin_it_is_logged(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        SUBSCRIBERS.replace("import threading", "import threading, pytest")
        + """
def test_it(live, caplog):
    live.messages.subscribe(is_y)
    say(live, "x")
    assert "a subscriber raised and was detached" in caplog.text
"""
    )
    suite.runpytest_subprocess("-p", "no:rx_multicast_ipc").assert_outcomes(passed=1)


def test_the_clock_of_a_test_that_only_has_a_network_is_run(watched: pytest.Pytester) -> None:
    result = run(
        watched,
        SUBSCRIBERS
        + """
heard = []

def test_fails(virtual_network):
    channel = virtual_network.open_channel()
    channel.messages.subscribe(is_y)
    channel.broadcast("x").subscribe()

def test_passes(virtual_network):
    one, two = virtual_network.open_channel(), virtual_network.open_channel()
    two.messages.subscribe(lambda m: heard.append(m.text))
    one.broadcast("x").subscribe()
    one.scheduler.schedule_relative(3600, lambda *_: one.broadcast("an hour later").subscribe())
    rx.interval(1.0, scheduler=one.scheduler).subscribe()  # without end

def test_direct(on_virtual_network):
    channel = ipc.open_channel()
    channel.messages.subscribe(is_y)
    channel.broadcast("x").subscribe()

def test_ran_it_by_hand(marbles, virtual_network):
    channel = virtual_network.open_channel()
    marbles.run(until=1)
    channel.scheduler.schedule_relative(5, lambda *_: heard.append("never"))

def test_after_them():
    assert heard == ["x", "an hour later"]
""",
    )
    result.assert_outcomes(failed=2, passed=3)
