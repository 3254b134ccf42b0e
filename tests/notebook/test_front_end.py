"""The front end alone: the same ES module in a browser, with a model that the test speaks for."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from rx_multicast_ipc import Message
from rx_multicast_ipc.notebook.live_meter import Meter
from rx_multicast_ipc.notebook.live_update import PAYLOAD_BUDGET, State, encode
from rx_multicast_ipc.notebook.plotted_values import PlottedValues

from .front_end_page import FrontEndPage

pytest.importorskip("playwright", reason="needs the extra [notebook-test]")

START = 1_700_000_000.0

ANN, BOB = ("127.0.0.1", 4001), ("127.0.0.1", 4002)


class FrontEnd:
    """What a kernel would do, in time that the test counts."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.now = START
        self.meter = Meter(lambda: self.now)
        self._shown = FrontEndPage(page, "a group")

    def plot(self, value: Callable[[Any], Any]) -> None:
        self.meter = Meter(lambda: self.now, PlottedValues(value))

    def hear(self, *messages: object) -> None:
        for message in messages:
            self.meter.add(message)

    def update(self, seconds: float = 0.2, *, dropped: int | None = 0, state: State = "live", error: str = "") -> None:
        self.now += seconds
        self.show(encode(self.meter.read(), dropped=dropped, state=state, error=error))

    def show(self, parts: list[bytes]) -> None:
        self._shown.show(parts)

    def drawn(self) -> None:
        self._shown.drawn()

    def figure(self, name: str) -> str:
        return self.page.locator(f".figure.{name} .number").inner_text()

    def column(self, number: int) -> list[str]:
        self.drawn()
        cells = self.page.locator(f".table tbody tr:not([aria-hidden]) td:nth-child({number})")
        return [text.strip() for text in cells.all_inner_texts()]

    def payloads(self) -> list[str]:
        return self.column(6)

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name)

    def inspect(self, text: str) -> str:
        """The content of the panel, once the row with this payload was clicked."""
        self.page.locator(".table td", has_text=text).first.click()
        self.drawn()  # the branches of a tree are made after the click
        return self.page.locator(".inspector .content").inner_text()


@pytest.fixture
def front(page: Any) -> FrontEnd:
    return FrontEnd(page)


def said(text: str | bytes, sender: tuple[str, int] = ANN, **fields: Any) -> Message:
    return Message(text.encode() if isinstance(text, str) else text, *sender, received_at=START, **fields)


def test_a_front_end_that_begins_asks_for_what_is_there(front: FrontEnd) -> None:
    assert front.page.evaluate("sent") == ["hello"]


def test_the_newest_messages_stand_first_with_time_sender_size_and_payload(front: FrontEnd) -> None:
    front.hear(said("one"), said("three", BOB))
    front.update()
    assert [front.column(number) for number in (1, 2, 3, 5, 6)] == [
        ["2", "1"],
        ["22:13:20.000", "22:13:20.000"],
        ["127.0.0.1:4002", "127.0.0.1:4001"],
        ["5", "3"],
        ["three", "one"],
    ]


def test_rates_are_those_of_the_last_second(front: FrontEnd) -> None:
    front.update()
    for _ in range(10):
        front.hear(*[said("four")] * 6, *[said("four", BOB)] * 2)
        front.update()
    assert (front.figure("rate"), front.figure("byteRate")) == ("40", "160 B/s")
    assert front.page.locator(".senders li").all_inner_texts() == ["127.0.0.1:4001\n30/s", "127.0.0.1:4002\n10/s"]
    assert (front.figure("total"), front.figure("bytes")) == ("80", "320 B")


def test_drops_are_counted_and_marked_in_the_plot(front: FrontEnd) -> None:
    for dropped in (0, 0, 7, 7, 9):
        front.hear(said("x"))
        front.update(dropped=dropped)
    assert front.figure("dropped") == "9"
    assert front.page.locator(".plot .drop title").all_text_contents() == [
        "the kernel dropped 7",
        "the kernel dropped 2",
    ]


def test_where_nobody_counts_drops_none_are_shown(front: FrontEnd) -> None:
    front.update(dropped=None)
    assert not front.page.locator(".figure.dropped").is_visible()


def test_markup_in_a_payload_stays_text(front: FrontEnd) -> None:
    attack = "<script>window.hit=1</script><img src=x onerror='window.hit=1'>"
    front.hear(said(attack), said(f'{{"{attack}": "{attack}"}}'))
    front.hear({attack: attack}, type(attack, (), {})())
    front.update(state="failed", error=attack)
    for row in range(4):
        front.page.locator(".table tbody tr:not([aria-hidden])").nth(row).click()
        for tab in front.page.get_by_role("tab").all():
            tab.click()
    assert attack in front.payloads()
    assert front.page.locator(".rxm-live script, .rxm-live img").count() == 0
    assert front.page.evaluate("window.hit") is None


def test_a_text_filters_payloads_and_senders_without_regard_to_case(front: FrontEnd) -> None:
    front.hear(said("join:Ann"), said("leave:Bob", BOB), said("JOIN:Cid"))
    front.update()
    search = front.page.get_by_label("Filter")
    search.fill("join")
    assert front.payloads() == ["JOIN:Cid", "join:Ann"]
    assert front.page.get_by_role("status").inner_text() == "2 of the last 3"
    search.fill("4002")
    assert front.payloads() == ["leave:Bob"]
    search.fill("n.:")
    assert front.payloads() == []


def test_what_arrives_later_is_filtered_too(front: FrontEnd) -> None:
    front.page.get_by_label("Filter").fill("a")
    front.hear(said("a"), said("b"))
    front.update()
    front.hear(said("b"), said("aa"))
    front.update()
    assert front.payloads() == ["aa", "a"]


def test_a_regular_expression_filters_and_a_broken_one_says_so(front: FrontEnd) -> None:
    front.hear(said("a1"), said("a22"), said("b1"))
    front.update()
    front.button(".*").click()
    front.drawn()
    search = front.page.get_by_label("Filter")
    search.fill(r"^a\d$")
    assert front.payloads() == ["a1"]
    search.fill("(")
    assert front.payloads() == ["b1", "a22", "a1"]
    assert "No regular expression" in front.page.get_by_role("status").inner_text()


def test_a_click_on_a_sender_shows_that_sender_alone_until_the_next(front: FrontEnd) -> None:
    front.hear(said("of Ann"), said("of Bob", BOB))
    front.update()
    ann = front.page.locator(".senders button").first
    ann.click()
    front.drawn()
    assert front.payloads() == ["of Ann"]
    ann.click()
    front.drawn()
    assert front.payloads() == ["of Bob", "of Ann"]


def test_paused_it_stands_still_and_counts_on(front: FrontEnd) -> None:
    front.hear(said("before"))
    front.update()
    front.button("Pause").click()
    front.drawn()
    front.hear(said("after"), said("later"))
    front.update()
    assert front.payloads() == ["before"]
    assert front.figure("total") == "3"
    front.page.get_by_label("Filter").fill("f")  # it filters what is shown
    assert front.payloads() == ["before"]
    front.page.get_by_label("Filter").fill("")
    front.button("Resume (2 new)").click()
    front.drawn()
    assert front.payloads() == ["later", "after", "before"]


def test_clear_forgets_the_rows_and_keeps_the_totals(front: FrontEnd) -> None:
    front.hear(said("old"))
    front.update()
    front.button("Clear").click()
    front.drawn()
    assert front.payloads() == []
    front.hear(said("new"))
    front.update()
    assert (front.payloads(), front.figure("total")) == (["new"], "2")


def test_json_is_inspected_as_a_tree_with_numbers_as_they_were_sent(front: FrontEnd) -> None:
    front.hear(said('{"id": 12345678901234567890, "tags": ["roof", null], "__proto__": true}'))
    front.update()
    assert front.inspect("roof").splitlines() == [
        "{3}",
        "id: 12345678901234567890",
        "tags: [2]",
        "__proto__: true",
    ]
    front.page.get_by_text("tags:").click()
    front.page.locator(".leaf", has_text="roof").wait_for()
    assert front.page.locator(".inspector .content .leaf").all_inner_texts()[1:3] == ['0: "roof"', "1: null"]


def test_bytes_that_are_no_text_are_shown_in_hexadecimal(front: FrontEnd) -> None:
    front.hear(said(b"\xff\x00ab" + bytes(16)))
    front.update()
    assert front.payloads()[0].startswith("ff 00 61 62 00")
    lines = front.inspect("ff 00").splitlines()
    assert lines[0].startswith("0000  ff 00 61 62")
    assert lines[0].endswith("··ab············")
    assert lines[1].startswith("0010  00 00 00 00")
    assert front.page.get_by_role("tab").all_inner_texts() == ["Hex"]


def test_an_inspected_payload_stays_while_the_table_moves_on(front: FrontEnd) -> None:
    front.hear(said("kept"))
    front.update()
    assert front.inspect("kept") == "kept"
    for number in range(3000):
        front.hear(said(f"m{number}"))
        if number % 200 == 199:
            front.update()
    assert front.page.locator(".inspector .content").inner_text() == "kept"
    front.page.get_by_role("button", name="Close").click()
    front.drawn()
    assert not front.page.locator(".inspector").is_visible()


def test_a_payload_that_was_cut_says_so(front: FrontEnd) -> None:
    front.hear(*[said("é" * 5000)] * 200)
    front.update()
    text = front.inspect("é")
    assert set(text) <= {"é"}
    assert len(text) in range(PAYLOAD_BUDGET // 200 // 2 - 2, PAYLOAD_BUDGET // 200 // 2 + 1)
    assert "of 10,000 bytes" in front.page.locator(".inspector .facts").inner_text()


def test_thousands_of_rows_keep_the_page_small_and_can_be_scrolled(front: FrontEnd) -> None:
    for number in range(2000):
        front.hear(said(f"m{number}"))
        if number % 200 == 199:
            front.update()
    assert front.page.locator(".table tbody tr").count() < 40
    front.page.locator(".table").evaluate("box => { box.scrollTop = box.scrollHeight }")
    front.page.wait_for_function("document.querySelector('.table').innerText.includes('m0')")
    assert front.payloads()[-1] == "m0"


def test_what_a_reader_scrolled_to_stays_in_sight(front: FrontEnd) -> None:
    front.hear(*[said(f"m{number}") for number in range(100)])
    front.update()
    front.page.locator(".table").evaluate("box => { box.scrollTop = 440 }")
    front.page.wait_for_function("!document.querySelector('.table').innerText.includes('m99')")
    before = front.payloads()
    front.hear(*[said(f"n{number}") for number in range(7)])
    front.update()
    assert front.payloads() == before


def test_messages_that_are_not_shown_leave_a_gap_in_the_numbers(front: FrontEnd) -> None:
    front.hear(said("first"))
    front.update()
    front.hear(*[said(f"m{number}") for number in range(300)])
    front.update()
    front.page.locator(".table").evaluate("box => { box.scrollTop = box.scrollHeight }")
    front.page.wait_for_function("document.querySelector('.table').innerText.includes('first')")
    assert front.column(1)[-2:] == ["102", "1"]
    assert front.page.locator(".table tr.gap").get_attribute("title") == "100 before it are not shown"


def test_what_was_told_before_is_not_told_twice(front: FrontEnd) -> None:
    front.hear(said("a"), said("b"))
    front.update()
    front.show(encode(front.meter.recent()))
    assert front.payloads() == ["b", "a"]
    assert (front.figure("total"), front.figure("bytes")) == ("2", "2 B")


def test_a_rate_beyond_what_is_looked_at_is_told_as_about(front: FrontEnd) -> None:
    front.update()
    front.meter.add_all([said("four")] * 10_000)
    front.update(1.0)
    assert (front.figure("rate"), front.figure("bytes")) == ("10,000", "≈ 40.0 kB")
    assert front.page.locator(".senders li").all_inner_texts() == ["127.0.0.1:4001\n10,000/s"]


def test_many_senders_are_told_by_the_busiest_and_the_others(front: FrontEnd) -> None:
    front.hear(*[said("x", ("127.0.0.1", port)) for port in range(1, 301)], *[said("x", BOB)] * 5)
    front.update()
    names = [text.split("\n")[0] for text in front.page.locator(".senders li").all_inner_texts()]
    assert names[0] == "127.0.0.1:4002"
    assert len(names) == 50


def test_plain_values_are_shown_by_their_type(front: FrontEnd) -> None:
    front.hear({"celsius": 21.5}, 42)
    front.update(dropped=None)
    assert (front.column(3), front.payloads()) == (["int", "dict"], ["42", '{"celsius":21.5}'])


def legend(front: FrontEnd) -> list[list[str]]:
    return [text.split("\n") for text in front.page.locator(".legend li").all_inner_texts()]


def test_values_are_lines_named_in_a_legend(front: FrontEnd) -> None:
    front.plot(lambda m: m.json())
    front.hear(said("20.5"), said("7", BOB))
    front.update()
    front.hear(said("21.25"), said("6", BOB))
    front.update()
    assert legend(front) == [["127.0.0.1:4001", "21.25"], ["127.0.0.1:4002", "6"]]
    lines = front.page.locator(".values polyline")
    assert lines.count() == 2
    first, second = [
        [float(y) for y in line.get_attribute("points").replace(",", " ").split()[1::2]] for line in lines.all()
    ]
    assert first[0] > first[1]  # up on the page is less
    assert second[0] < second[1]
    assert max(first) < min(second)


def test_a_series_can_be_hidden_and_shown_again(front: FrontEnd) -> None:
    front.hear({"celsius": 20, "humidity": 60})
    front.update()
    assert legend(front) == [["celsius", "20"], ["humidity", "60"]]
    entry = front.page.get_by_role("button", name="humidity")
    entry.click()
    front.drawn()
    front.drawn()
    assert front.page.locator(".values polyline").count() == 1
    assert entry.get_attribute("aria-pressed") == "false"
    entry.click()
    front.drawn()
    front.drawn()
    assert front.page.locator(".values polyline").count() == 2


def test_without_values_there_is_no_plot_of_them(front: FrontEnd) -> None:
    front.hear(said("x"))
    front.update()
    assert not front.page.locator(".values").is_visible()


def test_what_has_no_value_is_told_and_why(front: FrontEnd) -> None:
    front.plot(lambda m: float(m.text))
    front.hear(said("1"), said("<b>x"))
    front.update()
    remark = front.page.locator(".values .remark").inner_text()
    assert remark == "1 without a value: ValueError: could not convert string to float: '<b>x'"


def test_paused_the_values_stand_still_too_and_clear_forgets_them(front: FrontEnd) -> None:
    front.hear(1)
    front.update()
    front.button("Pause").click()
    front.drawn()
    front.hear(2)
    front.update()
    assert legend(front) == [["value", "1"]]
    front.button("Resume").click()
    front.drawn()
    front.drawn()
    assert legend(front) == [["value", "2"]]
    front.button("Clear").click()
    front.drawn()
    front.drawn()
    assert legend(front) == []


def test_values_of_an_interval_that_was_not_over_are_told_once(front: FrontEnd) -> None:
    for number in (1, 5, 3):
        front.hear(number)
        front.update(0.001)
    front.show(encode(front.meter.recent()))
    buckets = front.page.locator(".values polyline").get_attribute("points").split()
    assert len(buckets) == 2  # one interval: from the least to the greatest
    assert legend(front) == [["value", "3"]]


def test_a_minute_of_values_is_all_that_is_kept(front: FrontEnd) -> None:
    for number in range(40):
        front.hear(number)
        front.update(2.0)
    assert len(front.page.locator(".values polyline").get_attribute("points").split()) == 30
    front.update(100.0)
    assert not front.page.locator(".values").is_visible()


def test_many_lines_are_told_apart_by_dashes(front: FrontEnd) -> None:
    front.hear({f"series {number}": number for number in range(20)})
    front.update()
    looks = {
        (line.get_attribute("class"), line.get_attribute("stroke-dasharray"))
        for line in front.page.locator(".values polyline").all()
    }
    assert len(looks) == 20


def test_topics_have_a_column_and_stand_apart_from_the_payload(front: FrontEnd) -> None:
    front.hear(said("plain"))
    front.update()
    assert not front.page.locator("th.topic").is_visible()
    front.hear(said(b"robot/pose\0{}"))
    front.update()
    assert (front.column(4), front.payloads()) == (["robot/pose", ""], ["{}", "plain"])
    front.page.get_by_label("Filter").fill("robot")
    assert front.payloads() == ["{}"]


def test_a_message_of_virtual_time_shows_the_seconds_of_its_clock(front: FrontEnd) -> None:
    front.hear(Message(b"x", received_at=1.5))
    front.update()
    assert front.column(2) == ["1.500 s"]


@pytest.mark.parametrize(
    ("state", "error", "shown"),
    [("completed", "", "completed"), ("failed", "OSError: gone", "OSError: gone"), ("stopped", "", "stopped")],
)
def test_the_end_of_the_source_is_told(front: FrontEnd, state: State, error: str, shown: str) -> None:
    front.update()
    assert front.page.locator(".status").inner_text() == "live"
    front.update(state=state, error=error)
    assert front.page.locator(".status").inner_text() == shown


def test_a_kernel_that_tells_nothing_more_is_noticed(page: Any) -> None:
    page.clock.install()
    front = FrontEnd(page)
    front.page.evaluate(
        "parts => update(parts)", [base64.b64encode(part).decode() for part in encode(front.meter.read())]
    )
    front.page.clock.run_for(5000)
    assert front.page.locator(".status").inner_text() == "no news for 5 s"


def test_arrow_keys_walk_through_the_messages(front: FrontEnd) -> None:
    front.hear(said("one"), said("two"), said("three"))
    front.update()
    table = front.page.get_by_role("region", name="Messages, the newest first")
    for key, shown in (("ArrowDown", "three"), ("ArrowDown", "two"), ("ArrowUp", "three")):
        table.press(key)
        front.drawn()
        assert front.page.locator(".inspector .content").inner_text() == shown
    table.press("Escape")
    front.drawn()
    assert not front.page.locator(".inspector").is_visible()


def test_a_view_that_is_taken_away_leaves_nothing_running(front: FrontEnd) -> None:
    front.page.evaluate("end()")
    front.hear(said("later"))
    front.update()
    assert front.payloads() == []
