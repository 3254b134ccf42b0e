from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import Event, Marbles, VirtualNetwork

from ..helpers import divide_by_zero


@pytest.fixture
def marbles() -> Marbles:
    return Marbles(frame=0.1)


def failure(end: Callable[[], None]) -> str:
    """What the marbles complain of when they are run or closed."""
    with pytest.raises(AssertionError) as caught:
        end()
    return str(caught.value)


def test_what_happens_as_expected_passes(marbles: Marbles) -> None:
    letters = marbles.hot("a-(bc)-d 2s #", b=2, error=ValueError("x"))
    marbles.expect(letters).to_be("        a-(bc)-d 2s #", {"b": 2}, error=ValueError("x"))
    marbles.expect(letters.pipe(ops.delay(0.2))).to_be("--a-(bc)-d 1.8s #", b=2, error=ValueError)
    marbles.expect(rx.never()).to_be("---")
    marbles.expect(marbles.cold("|")).to_be("|")
    marbles.close()


@pytest.mark.parametrize(
    ("actual", "expected", "first"),
    [
        ("a--c|", "a--b|", "'c' came at 0.3 s instead of 'b'"),
        ("a---b|", "a--b-|", "'b' was expected at 0.3 s and came at 0.4 s"),
        ("a--b|", "a--b-|", "completion was expected at 0.5 s and came at 0.4 s"),
        ("a--b", "a--b|", "completion was expected at 0.4 s and did not come"),
        ("a--bc", "a--b|", "'c' came at 0.4 s instead of completion"),
        ("a", "a--b|", "'b' was expected at 0.3 s and did not come"),
        ("a--b|", "a", "'b' came at 0.3 s, after all that was expected"),
        ("a--b|", "---b|", "'a' came at 0 s, before the next that was expected: 'b' at 0.3 s"),
        ("---b|", "a--b|", "'a' was expected at 0 s, and next came 'b' at 0.3 s"),
        ("(ab)", "(ba)", "'a' came at 0 s instead of 'b'"),
        ("#", "|", "RuntimeError('#') came at 0 s instead of completion"),
    ],
)
def test_what_differs_first_is_told_first(marbles: Marbles, actual: str, expected: str, first: str) -> None:
    marbles.expect(marbles.cold(actual)).to_be(expected)
    assert failure(marbles.run).splitlines()[0] == first


def test_expected_and_actual_are_drawn_one_above_the_other_with_their_values(marbles: Marbles) -> None:
    came = marbles.hot("a--b--(cd)|", a="Ann", b="Bo", c=3, d="same")
    marbles.expect(came).to_be("a--b-(cd)--|", a="Ann", b="Bob", c=3, d="same")
    assert failure(marbles.run).splitlines() == [
        "'Bo' came at 0.3 s instead of 'Bob'",
        "  expected  a--b-(cd)--|",
        "  actual    a--e--(cd)|",
        "    a = 'Ann'",
        "    b = 'Bob'  (expected)",
        "    c = 3",
        "    d = 'same'",
        "    e = 'Bo'  (actual)",
    ]


def test_errors_are_told_by_type_and_value(marbles: Marbles) -> None:
    marbles.expect(marbles.cold("-#", error=ValueError("x"))).to_be("-#", error=RuntimeError("x"))
    marbles.expect(marbles.cold("-#", error=ValueError(1))).to_be("-#", error=ValueError("1"))
    text = failure(marbles.run)
    assert "    # = RuntimeError('x')  (expected)\n    # = ValueError('x')  (actual)" in text
    assert "    # = ValueError('1')  (expected)\n    # = ValueError(1)  (actual)" in text


def test_messages_are_shown_as_they_are_written(marbles: Marbles) -> None:
    marbles.expect(marbles.messages("a", a=("ping", "10.0.0.2", 7))).to_be("a", a=("pong", "10.0.0.2"))
    text = failure(marbles.run)
    assert "a = ('pong', '10.0.0.2')  (expected)\n    b = ('ping', ('10.0.0.2', 7))  (actual)" in text


def test_messages_that_look_alike_are_shown_in_full(marbles: Marbles) -> None:
    direct = ipc.Message(b"x", "10.0.0.2", 7, direct=True)
    marbles.expect(marbles.messages("a", a=direct)).to_be("a", a=ipc.Message(b"x", "10.0.0.2", 7))
    assert "b = Message(data=b'x'" in failure(marbles.run)


def test_a_flood_that_differs_is_told_in_a_few_lines_and_at_once(marbles: Marbles) -> None:
    marbles.expect(rx.interval(0.1)).to_be("-01", {"0": 0, "1": 1})
    marbles.expect(marbles.cold("ab" * 2000)).to_be("ab" * 1999 + "ba")
    text = failure(marbles.run)
    assert text.startswith("2 came at 0.3 s, after all that was expected")
    assert "and 8002 more" in text
    assert "'a' came at 399.8 s instead of 'b'" in text
    assert len(text.splitlines()) < 30


def test_all_that_differs_is_told_and_told_once(marbles: Marbles) -> None:
    marbles.expect(marbles.cold("a")).to_be("b")
    marbles.expect(marbles.cold("a")).to_be("a")
    marbles.expect(marbles.cold("a")).to_be("c")
    text = failure(marbles.run)
    assert text.startswith("'a' came at 0 s instead of 'b'")
    assert "and at line " in text
    assert "'a' came at 0 s instead of 'c'" in text
    marbles.close()


def test_a_failure_points_at_the_line_that_expected(marbles: Marbles) -> None:
    marbles.expect(marbles.cold("a")).to_be("b")  # this line
    with pytest.raises(AssertionError) as caught:
        marbles.run()
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert Path(last.filename) == Path(__file__)
    assert last.line == 'marbles.expect(marbles.cold("a")).to_be("b")  # this line'


def test_what_comes_after_the_end_of_all_that_is_written_fails(marbles: Marbles) -> None:
    marbles.expect(marbles.cold("a").pipe(ops.concat(rx.timer(1.0)))).to_be("a")
    marbles.expect(rx.timer(0.9)).to_be("---")
    text = failure(marbles.run)
    assert "0 came at 0.9 s, after all that was expected" in text


def test_a_source_without_end_does_not_hang_the_run(marbles: Marbles) -> None:
    source = rx.interval(0.1)
    marbles.expect(source, subscription="^----!").to_be("-0123", {str(number): number for number in range(5)})
    marbles.expect(source, subscription="--^--!").to_be("---01", {"0": 0, "1": 1})
    rx.interval(0.001).subscribe(scheduler=marbles.scheduler)
    marbles.run()
    assert marbles.now == pytest.approx(2 * 0.6 + 1.0)  # as long again, and ten frames  # pyright: ignore[reportUnknownMemberType]
    marbles.close()


def test_subscriptions_are_expected_as_marbles(marbles: Marbles) -> None:
    source = marbles.cold("a-b-c|")
    marbles.expect(source.pipe(ops.take(2))).to_be("a-(b|)")
    marbles.expect(source, subscription="-^-!").to_be("-a-")
    marbles.expect(source.pipe(ops.repeat(2)), subscription="--------^").to_be("--------a-b-ca-b-c|")
    marbles.expect(source.subscriptions).to_be("^-!", "-^-!", "--------^----!", "-------------^----!")
    silent = marbles.hot("a|")
    marbles.expect(silent.subscriptions).to_be()
    waiting = marbles.hot("-")
    waiting.subscribe()
    marbles.expect(waiting.subscriptions).to_be("^")
    marbles.close()


def test_subscriptions_that_differ_are_drawn(marbles: Marbles) -> None:
    source = marbles.cold("a-b-c|")
    marbles.expect(source.pipe(ops.take(2))).to_be("a-(b|)")
    marbles.expect(source.subscriptions).to_be("^---!")
    assert failure(marbles.run).splitlines() == [
        "subscribed or disposed of at other times than expected",
        "  expected  ^---!",
        "  actual    ^-!",
    ]
    marbles.hot("a-").subscribe()
    twice = marbles.hot("-")
    twice.subscribe()
    marbles.expect(twice.subscriptions).to_be("^", "--^-!")
    assert failure(marbles.run).splitlines()[:4] == [
        "2 subscriptions expected, 1 made",
        "  expected 1  ^----",
        "  expected 2  --^-!",
        "  actual      ^----",
    ]


def test_an_expectation_without_anything_expected_fails(marbles: Marbles) -> None:
    marbles.expect(marbles.cold("a"))
    assert "write .to_be(...)" in failure(marbles.close)
    marbles.expect(marbles.cold("a").subscriptions)
    assert "write .to_be(...)" in failure(marbles.run)


def test_closing_runs_what_was_not_run(marbles: Marbles) -> None:
    marbles.expect(marbles.cold("--a")).to_be("--b")
    assert "'a' came at 0.2 s instead of 'b'" in failure(marbles.close)
    with Marbles() as block:
        seen = block.record(block.hot("--a"))
    assert seen.events == [Event(2.0, "next", "a")]


def test_what_a_run_by_hand_left_over_fails(marbles: Marbles) -> None:
    marbles.expect(marbles.cold("a-b|")).to_be("a-b|")
    marbles.run(until=0.2)
    assert failure(marbles.close) == "not checked beyond 0.2 s, where run() stopped: run until 0.4 s or more"
    marbles.hot("ab--c|")
    marbles.run(until=0.4)
    assert failure(marbles.close).startswith("2 of 4 marbles were not played when run() stopped at 0.4 s")


def test_a_run_in_parts_checks_what_is_due(marbles: Marbles) -> None:
    marbles.expect(marbles.cold("a-b-c|")).to_be("a-b-c|")
    marbles.expect(marbles.cold("a-b-c|").subscriptions).to_be()
    for until in (0.0, 0.15, 0.2, 0.3):
        marbles.run(until)
    marbles.expect(marbles.cold("xy|")).to_be("xy|")  # begins at 0.3 s
    marbles.run(until=0.6)
    marbles.close()


def test_a_later_picture_begins_when_it_was_expected(marbles: Marbles) -> None:
    marbles.scheduler.advance_to(5.0)
    marbles.expect(marbles.cold("-a")).to_be("--a")
    assert failure(marbles.run).splitlines() == [
        "'a' was expected at 5.2 s (0.2 s into the marbles) and came at 5.1 s (0.1 s into the marbles)",
        "  expected  --a",
        "  actual    -a-",
    ]


def test_what_code_under_test_raises_comes_out_of_the_run(marbles: Marbles) -> None:
    marbles.hot("a").subscribe(divide_by_zero)
    with pytest.raises(ZeroDivisionError):
        marbles.run()


def test_an_error_in_the_block_is_not_hidden_by_what_was_expected() -> None:
    def block() -> None:
        with Marbles() as marbles:
            marbles.expect(marbles.cold("a")).to_be("b")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()


def test_closing_lets_go_of_what_was_expected_of(marbles: Marbles) -> None:
    source = marbles.hot("a")
    marbles.expect(source).to_be("a")
    marbles.close()
    assert source.subscriptions.spans[0].end == marbles.now
    marbles.close()


def test_mistakes_are_told(marbles: Marbles) -> None:
    channel = VirtualNetwork(marbles.scheduler).open_channel()
    with pytest.raises(ipc.InvalidOption, match=r"did you mean its \.messages"):
        marbles.expect(channel)  # pyright: ignore[reportArgumentType, reportCallIssue]
    with pytest.raises(ipc.InvalidOption, match="takes an Observable"):
        marbles.record("a")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ipc.InvalidOption, match="no marble"):
        marbles.expect(rx.never(), subscription="a")
    expectation = marbles.expect(rx.never())
    expectation.to_be("-")
    with pytest.raises(ipc.InvalidOption, match="said before"):
        expectation.to_be("-")
    marbles.run(until=5)
    for until in (4, float("inf"), float("nan")):
        with pytest.raises(ipc.InvalidOption, match="it is 5 s already"):
            marbles.run(until)


def test_running_inside_a_run_is_told(marbles: Marbles) -> None:
    marbles.hot("a").subscribe(lambda _: marbles.run())
    with pytest.raises(ipc.WouldDeadlock):
        marbles.run()


def test_sends_are_expected_with_time_payload_and_target(marbles: Marbles) -> None:
    network = VirtualNetwork(marbles.scheduler, latency=0.2)
    bot, player = network.open_channel(host="10.0.0.1"), network.open_channel(host="10.0.0.2")
    bot.messages.pipe(ops.flat_map(lambda m: bot.reply(m, f"Welcome {m.text}!"))).subscribe()
    marbles.expect(network.sends(bot)).to_be("--a", a=("Welcome Ann!", player.sender_address))
    marbles.expect(network.sends(player)).to_be("a", a=("Ann", player.group.address, player.group.port))
    marbles.expect(bot.messages).to_be("--a", a=("Ann", player.sender_address))
    marbles.expect(network.datagrams).to_be("a-b", a="Ann", b="Welcome Ann!")
    player.broadcast("Ann").subscribe()
    marbles.close()
