"""The spy's screen shows what was heard, and its keys do what they say."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from rx_multicast_ipc.cli import spy
from rx_multicast_ipc.cli.main import main
from rx_multicast_ipc.cli.spy.app import SpyApp
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork

from ...helpers import PATIENCE, THOROUGH, ipc, needs_linux


class Screen:
    """The spy on a screen that a test presses keys on."""

    def __init__(self, app: SpyApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.app.look()
                await self.pilot.pause(0.01)

    async def heard(self, count: int) -> None:
        await self.until(lambda: self.app.traffic.total.messages >= count)
        self.app.look()
        await self.pilot.pause()

    def lines(self, name: str) -> list[str]:
        """What a table shows below its head."""
        table = self.app.senders if name == "senders" else self.app.messages
        texts = [table.render_line(y).text for y in range(1, table.size.height)]
        return [text.strip() for text in texts if text.strip()]

    def text(self, name: str) -> str:
        return str(self.app.query_one(f"#{name}", Static).render())


@asynccontextmanager
async def screen(channel: ipc.Channel, search: str = "", size: tuple[int, int] = (120, 40)) -> AsyncGenerator[Screen]:
    app = SpyApp(channel, search)
    async with app.run_test(size=size) as pilot:
        yield Screen(app, pilot)


def use(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[ipc.Channel, int], None]:
    """A test that is given an open channel of another process, as it were, and runs on a loop of its own."""

    def run(channel: ipc.Channel, port: int) -> None:
        with ipc.open_channel(port) as other:
            asyncio.run(test(channel, other))

    run.__name__ = test.__name__
    return run


def say(channel: ipc.Channel, *payloads: str | bytes) -> None:
    for payload in payloads:
        channel.broadcast(payload).subscribe()


@use
async def test_it_shows_every_sender_and_every_message(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(channel, "one")
        say(other, "two", "three")
        await on.heard(3)
        first, second = on.lines("senders")
        assert first.split()[:2] == [f"127.0.0.1:{other.sender_address[1]}", "2"]
        assert first.endswith("three")
        assert second.split()[:2] == [f"127.0.0.1:{channel.sender_address[1]}", "1"]
        assert [line.split()[-1] for line in on.lines("messages")] == ["one", "two", "three"]
        assert "3 messages" in on.text("status")
        assert "0 dropped" in on.text("status")


@use
async def test_topics_have_a_column_once_there_is_one(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel, size=(200, 40)) as on:
        say(other, "plain")
        await on.heard(1)
        assert "topic" not in on.app.messages.render_line(0).text
        say(other, b'robot/pose\0{"x": 1}')
        await on.heard(2)
        head = on.app.messages.render_line(0).text
        assert head.split() == ["#", "time", "sender", "topic", "size", "payload"]
        plain, posed = on.lines("messages")
        assert plain.split()[-2:] == ["5", "plain"]
        assert posed.split()[3:] == ["robot/pose", "19", '{"x":', "1}"]
        assert on.text("payload") == '{\n  "x": 1\n}'


@use
async def test_the_cursor_follows_the_latest_until_it_is_moved(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(other, *(f"message {number}" for number in range(100)))
        await on.heard(100)
        assert on.text("payload") == "message 99"
        await on.press("up", "up")
        assert on.text("payload") == "message 97"
        say(other, "later")
        await on.heard(101)
        assert on.text("payload") == "message 97"
        await on.press("end")
        assert on.text("payload") == "later"
        say(other, "latest")
        await on.heard(102)
        assert on.text("payload") == "latest"


@use
async def test_home_and_pages_reach_every_message(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(other, *(f"message {number}" for number in range(200)))
        await on.heard(200)
        await on.press("home")
        assert on.text("payload") == "message 0"
        await on.press("pagedown", "pageup", "down")
        assert on.text("payload") == "message 1"


@use
async def test_a_payload_is_seen_as_text_json_and_hex(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel, size=(100, 40)) as on:
        say(other, '{"a": [1]}')
        await on.heard(1)
        assert on.text("payload") == '{\n  "a": [\n    1\n  ]\n}'
        await on.press("v")
        assert on.text("payload") == '{"a": [1]}'
        await on.press("v", "v")
        assert on.text("payload").startswith("0000  7b 22 61 22 3a 20 5b 31 5d 7d  ")
        await on.press("v")
        assert on.text("payload").startswith("{\n")


@use
async def test_a_filter_leaves_what_matches_and_can_be_changed(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel, "^join:") as on:
        say(other, "join:Ann", "leave:Bob", "join:Cid")
        await on.heard(3)
        assert [line.split()[-1] for line in on.lines("messages")] == ["join:Ann", "join:Cid"]
        assert "filter ^join:" in on.text("status")
        await on.press("slash", "C", "escape")
        assert [line.split()[-1] for line in on.lines("messages")] == ["join:Cid"]
        await on.press("slash", "B", "o", "b", "enter")
        assert [line.split()[-1] for line in on.lines("messages")] == ["leave:Bob"]
        assert on.app.focused is on.app.messages


@use
async def test_a_filter_that_is_no_expression_is_marked_and_not_used(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(other, "a(b", "c")
        await on.heard(2)
        await on.press("slash", "a", "left_parenthesis")
        assert on.app.query_one("#filter").has_class("wrong")
        assert len(on.lines("messages")) == 1
        await on.press("backspace")
        assert not on.app.query_one("#filter").has_class("wrong")


@use
async def test_pause_holds_the_list_still_counts_on_and_goes_on_with_all(
    channel: ipc.Channel, other: ipc.Channel
) -> None:
    async with screen(channel) as on:
        say(other, "before")
        await on.heard(1)
        await on.press("p")
        say(other, "during")
        await on.heard(2)
        assert len(on.lines("messages")) == 1
        assert "paused" in on.text("status")
        await on.press("p")
        assert [line.split()[-1] for line in on.lines("messages")] == ["before", "during"]
        assert "paused" not in on.text("status")


@use
async def test_clear_forgets_what_was_heard(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(other, "before")
        await on.heard(1)
        await on.press("c")
        assert (on.lines("messages"), on.lines("senders")) == ([], [])
        say(other, "after")
        await on.heard(1)
        assert [line.split()[-1] for line in on.lines("messages")] == ["after"]


@use
async def test_senders_are_sorted_by_any_column_both_ways(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(channel, "bbb")
        say(other, "a", "a")
        await on.heard(3)

        def payloads() -> list[str]:
            return [line.split()[-1] for line in on.lines("senders")]

        assert payloads() == ["a", "bbb"]
        await on.press("r")
        assert payloads() == ["bbb", "a"]
        await on.press("r", *"sssss")
        assert payloads() == ["bbb", "a"]
        await on.pilot.click("#senders", offset=(32, 1))
        assert payloads() == ["a", "bbb"]
        await on.pilot.click("#senders", offset=(32, 1))
        assert payloads() == ["bbb", "a"]


@use
async def test_enter_on_a_sender_shows_its_messages_alone(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(channel, "mine")
        say(other, "theirs", "theirs")
        await on.heard(3)
        await on.press("shift+tab", "home", "enter")
        assert [line.split()[-1] for line in on.lines("messages")] == ["theirs", "theirs"]
        assert f"only 127.0.0.1:{other.sender_address[1]}" in on.text("status")
        await on.press("enter")
        assert len(on.lines("messages")) == 3


@use
@needs_linux
async def test_drops_are_shown_in_red(channel: ipc.Channel, other: ipc.Channel) -> None:
    slow = ipc.open_channel(channel.group.port, receive_buffer=4096)
    go_on = Event()

    def block(_: ipc.Message) -> None:
        go_on.wait(PATIENCE)

    slow.messages.subscribe(block)
    with slow:
        async with screen(slow) as on:
            say(other, *[b"x" * 1000] * 100)
            await on.until(lambda: slow.statistics.dropped)
            go_on.set()
            await on.pilot.pause()
            on.app.look()
            dropped = f"{slow.statistics.dropped} dropped"
            await on.until(lambda: dropped in on.text("status"))
            status = on.app.query_one("#status", Static).render_line(0)
            (style,) = [segment.style for segment in status if dropped in segment.text]
            assert style is not None
            assert style.bgcolor is not None
            assert style.bgcolor.triplet is not None
            red, green, blue = style.bgcolor.triplet
            assert red > 2 * max(green, blue)


@use
async def test_what_is_sent_to_the_spy_alone_is_marked(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        address, port = channel.sender_address
        other.send("hi", port, address).subscribe()
        await on.heard(1)
        assert on.lines("messages")[0].endswith("→ me  hi")


@use
async def test_no_payload_is_taken_for_markup_or_steers_the_terminal(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(other, "[red]x[/red] \x1b[2J\n")
        await on.heard(1)
        assert "[red]x[/red] \\x1b" in on.lines("messages")[0]
        await on.press("v")
        assert on.text("payload") == "[red]x[/red] \\x1b[2J\n"


@use
async def test_it_says_when_the_channel_is_gone(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(other, "last")
        await on.heard(1)
        channel.close()
        await on.until(lambda: "closed" in on.text("status"))


@use
async def test_q_quits_with_0_and_ctrl_c_with_130(channel: ipc.Channel, other: ipc.Channel) -> None:
    for key, code in (("q", None), ("ctrl+c", 130)):
        async with screen(channel) as on:
            await on.pilot.press(key)
        assert on.app.return_value == code


@use
async def test_it_fits_a_small_terminal(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel, size=(60, 20)) as on:
        say(other, "hello")
        await on.heard(1)
        assert on.lines("senders")[0].endswith("hello")
        assert on.lines("messages")[0].endswith("hello")
        assert on.text("payload") == "hello"


@needs_linux
def test_without_textual_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.setitem(sys.modules, "textual.app", None)
    for name in [name for name in sys.modules if name.startswith("rx_multicast_ipc.cli.spy.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(spy, "is_terminal", lambda: True)
    assert main(["spy"]) == 3
    assert "pip install 'rx-multicast-ipc[cli]'" in capsys.readouterr().err


def test_in_a_pipe_it_refuses_and_names_listen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spy"]) == 3
    assert "use listen in scripts and pipes" in capsys.readouterr().err


@use
async def test_no_payload_ends_it(channel: ipc.Channel, other: ipc.Channel) -> None:
    payloads = [b"[" * 8_000, b'{"a":' * 1_600, b"\xff", b"9" * 8_000, b"\x91" * 9_000, b"", bytes(range(256)), b"NaN"]
    payloads += [b"[" * 900 + b"]" * 900, b'"\\ud800"', "\u202e\u009b\x7f".encode()]
    payloads = payloads if THOROUGH else payloads[::2]
    async with screen(channel) as on:
        for count, payload in enumerate(payloads, 1):
            say(other, payload)
            await on.heard(count)
            for _ in range(4):  # every view
                await on.press("v")
                text = on.text("payload")
                assert all(char.isprintable() or char == "\n" for char in text)
        assert len(on.lines("messages")) == len(payloads)


@use
async def test_a_bad_filter_is_told_and_the_last_good_one_stays(channel: ipc.Channel, other: ipc.Channel) -> None:
    async with screen(channel) as on:
        say(other, "one", "two")
        await on.heard(2)
        await on.press("slash", "o", "n")
        await on.press("[")
        assert "on[ is no regular expression: unterminated character set" in on.text("status")
        assert [line.split()[-1] for line in on.lines("messages")] == ["one"]
        await on.press("backspace")
        assert "regular expression" not in on.text("status")


def test_a_bad_filter_on_the_command_line_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spy", "--filter", "["]) == 2
    assert "a regular expression, not '['" in capsys.readouterr().err


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "address", ["2001:db8:1234:5678:9abc:def0:1234:5678", "fe80::1234:5678:9abc:def0%eth0", "1.2.3.4"]
)
def test_addresses_and_ports_are_shown_whole(address: str, width: int) -> None:
    async def test() -> None:
        with VirtualNetwork(VirtualClock()).open_channel() as channel:
            async with screen(channel, size=(width, 40)) as on:
                on.app.traffic.add([ipc.Message(b"payload", address, 65_535, received_at=1.0)])
                await on.heard(1)
                whole = f"[{address}]:65535" if ":" in address else f"{address}:65535"
                assert whole in on.lines("senders")[0]
                assert whole in on.lines("messages")[0]
                assert "payload"[:5] in on.lines("messages")[0]

    asyncio.run(test())


def test_members_are_shown_by_their_names(port: int) -> None:
    async def look() -> None:
        presence = ipc.Presence(None)
        with ipc.open_channel(port, presence="Ann [b]") as ann, ipc.open_channel(port, presence=presence) as channel:
            async with screen(channel) as shown:
                await shown.until(lambda: shown.app._names)  # pyright: ignore[reportPrivateUsage]
                say(ann, "hello")
                await shown.heard(1)
                assert shown.lines("senders")[0].startswith("Ann [b] ")
                assert "Ann [b] " in shown.lines("messages")[0]

    asyncio.run(look())
