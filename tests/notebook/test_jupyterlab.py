"""The live view in JupyterLab, in a browser, with traffic of other processes on loopback."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..helpers import finish, ipc, python, wait_until
from .lab import Lab, Notebook, running_lab

for module in ("playwright", "jupyterlab"):
    pytest.importorskip(module, reason="needs the extra [notebook-test]")

PICTURES = os.environ.get("LIVE_PICTURES")
"""Folder for pictures of the view: ``live.png``, which the README shows, and one of each theme."""

THEMES = ("JupyterLab Light", "JupyterLab Dark")

SENDER = """
import sys
import rx_multicast_ipc as ipc
port, count, rate = map(int, sys.argv[1:])
with ipc.open_channel(port) as channel:
    print(*channel.sender_address, sep=":", flush=True)
    print(ipc.run(channel.broadcast_all((f'{{"number": {n}}}' for n in range(1, count + 1)), rate=rate)))
"""

ENDLESS_SENDER = """
import itertools, sys, threading
import rx_multicast_ipc as ipc
port, rate = map(int, sys.argv[1:])
told = threading.Event()
threading.Thread(target=lambda: sys.stdin.read() or told.set(), daemon=True).start()
numbers = itertools.takewhile(lambda _: not told.is_set(), itertools.count(1))
with ipc.open_channel(port) as channel:
    print(*channel.sender_address, sep=":", flush=True)
    print(ipc.run(channel.broadcast_all((f'{{"number": {n}}}' for n in numbers), rate=rate)))
"""
"""Sends until its standard input ends."""

LIVE = """
import rx_multicast_ipc as ipc
from rx_multicast_ipc.notebook import live
if "channel" not in globals():
    channel = ipc.open_channel({port})
live(channel)
"""

STATUS = """
import threading
from ipywidgets.widgets.widget import _instances as widgets
threads = [thread.name for thread in threading.enumerate() if "live" in thread.name]
print(channel.batches, channel.messages, len(threads), len(widgets))
"""

CONVERSATION = """
import math, sys, time
import rx_multicast_ipc as ipc
roof, cellar, chat, camera = (ipc.open_channel(int(sys.argv[1])) for _ in range(4))
for n in range(1800):
    turn = n / 200
    if n % 2 == 0:
        celsius = round(21 + 2 * math.sin(turn), 2)
        more = '"tags": ["outdoor", "south"], "battery": {"volts": 3.71}'
        reading = f'{{"sensor": "roof", "celsius": {celsius}, {more}}}'
        ipc.run(roof.broadcast(reading))
    if math.sin(turn) + 1 > n % 5 / 2:
        ipc.run(cellar.broadcast(f'{{"sensor": "cellar", "humidity": {60 + n % 7}}}'))
    if math.cos(2 * turn) > n % 10 / 8:
        ipc.run(camera.broadcast(bytes([0xFF, 0xD8, n % 256, 0x2A] * 6)))
    if n % 40 == 0:
        ipc.run(chat.broadcast(f"{'join' if n % 80 else 'leave'}:{('Ann', 'Bob', 'Cid')[n // 80 % 3]}"))
    time.sleep(0.02)
"""
"""36 seconds of four who talk."""

CONTRAST = """
() => {
  const channels = (colour) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data;
  };
  const luminance = ([red, green, blue]) => [red, green, blue]
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const element of document.querySelectorAll(".rxm-live *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!text || !element.checkVisibility()) continue;
    const [one, other] = [channels(getComputedStyle(element).color), background(element)].map(luminance);
    const name = `${element.className}: ${element.textContent.slice(0, 20)}`;
    found[name] = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  }
  return found;
}
"""
"""Every text of the view and its contrast with what is behind it (WCAG 2.2, 1.4.3)."""


@pytest.fixture(scope="module")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


def send(port: int, count: int, rate: int) -> subprocess.Popen[str]:
    return python(SENDER, port, count, rate)


def view(page: Any) -> Any:
    return page.locator(".rxm-live")


def figure(page: Any, name: str) -> float:
    text = page.locator(f".figure.{name} .number").inner_text()
    return float(text.replace(",", ""))


def wait_for_figure(page: Any, name: str, low: float, high: float) -> None:
    page.wait_for_function(
        """([name, low, high]) => {
          const shown = document.querySelector(`.figure.${name} .number`).innerText.replaceAll(",", "");
          return Number(shown) >= low && Number(shown) <= high;
        }""",
        arg=[name, low, high],
    )


def wait_for_total(page: Any, total: int) -> None:
    wait_for_figure(page, "total", total, total)


def newest(page: Any) -> list[str]:
    return page.locator(".table tbody tr:not([aria-hidden])").first.locator("td:visible").all_inner_texts()


@pytest.mark.parametrize("rate", [1_000, 10_000])
def test_rows_and_rates_follow_another_process(lab: Lab, page: Any, port: int, rate: int) -> None:
    notebook = Notebook(lab, page, LIVE.format(port=port))
    notebook.run(0)
    page.wait_for_selector(".rxm-live .status.live")
    sender = python(ENDLESS_SENDER, port, rate)
    try:
        assert sender.stdout is not None
        address = sender.stdout.readline().strip()
        wait_for_figure(page, "rate", rate * 0.9, rate * 1.1)
    finally:
        sent = int(finish(sender))
    wait_until(lambda: figure(page, "total") + figure(page, "dropped") == sent)
    number, _, who, size, payload = newest(page)
    assert (number, who.strip()) == (f"{figure(page, 'total'):,.0f}", address)
    assert payload == f'{{"number": {sent}}}' or figure(page, "dropped") > 0
    assert int(size) == len(payload)
    assert page.locator(".senders li .name").all_inner_texts() == [address]


def test_a_source_with_an_open_view_loses_no_throughput(lab: Lab, page: Any, port: int) -> None:
    count = 20_000
    measured = f"""
heard = []
subscription = channel.batches.subscribe(lambda batch: heard.append(len(batch)))
import time
while sum(heard) < {count} and (not heard or time.monotonic() < deadline):
    deadline = time.monotonic() + 10 if not heard else deadline
    time.sleep(0.01)
subscription.dispose()
print(sum(heard))
"""
    opened = f"import rx_multicast_ipc as ipc\nchannel = ipc.open_channel({port})\ndeadline = 0"
    notebook = Notebook(lab, page, opened, measured, LIVE.format(port=port), measured)
    notebook.run(0)
    counts: list[int] = []
    for cell in (1, 3):
        if cell == 3:
            notebook.run(2)
            page.wait_for_selector(".rxm-live .status.live")
        notebook.begin(cell)
        finish(send(port, count, 10_000))
        notebook.wait(cell)
        counts.append(int(notebook.output(cell)))
    without, with_view = counts
    assert without == count
    assert with_view >= 0.95 * without


def test_pause_filter_and_inspection_work_while_a_cell_runs(lab: Lab, page: Any, port: int, tmp_path: Path) -> None:
    flag = tmp_path / "go on"
    busy = f"import os, time\nwhile not os.path.exists({str(flag)!r}):\n    time.sleep(0.01)"
    notebook = Notebook(lab, page, LIVE.format(port=port), busy)
    notebook.run(0)
    page.wait_for_selector(".rxm-live .status.live")
    notebook.begin(1)
    finish(send(port, 50, 1_000))
    wait_for_total(page, 50)
    view(page).get_by_role("button", name="Pause").click()
    finish(send(port, 50, 1_000))
    view(page).get_by_role("button", name="Resume (50 new)").wait_for()
    assert newest(page)[0] == "50"
    view(page).get_by_label("Filter").fill("number.: 7}")
    view(page).get_by_role("button", name=".*").click()
    view(page).get_by_role("status").get_by_text("1 of the last 50").wait_for()
    page.locator(".table td", has_text="number").first.click()
    assert page.locator(".inspector .content .leaf").inner_text() == "number: 7"
    view(page).get_by_role("button", name="Resume").click()
    view(page).get_by_role("status").get_by_text("2 of the last 100").wait_for()
    assert notebook.is_running(1)
    flag.touch()
    notebook.wait(1)


def test_three_runs_of_a_cell_leave_what_one_leaves(lab: Lab, page: Any, port: int) -> None:
    notebook = Notebook(lab, page, LIVE.format(port=port), STATUS)
    notebook.run(0)
    page.wait_for_selector(".rxm-live .status.live")
    after_one = notebook.run(1)
    assert "1 subscriber>" in after_one
    for _ in range(3):
        notebook.run(0)
    page.wait_for_selector(".rxm-live .status.live")
    assert notebook.run(1) == after_one
    assert page.locator(".rxm-live").count() == 1


def test_a_page_that_is_loaded_again_shows_what_is_there(lab: Lab, page: Any, port: int) -> None:
    notebook = Notebook(lab, page, LIVE.format(port=port))
    notebook.run(0)
    finish(send(port, 50, 1_000))
    wait_for_total(page, 50)
    notebook.command("docmanager:save")
    page.reload()
    page.wait_for_selector(".rxm-live .status.live")
    wait_for_total(page, 50)
    wait_until(lambda: newest(page)[4:5] == ['{"number": 50}'])


def test_markup_in_a_payload_stays_text(lab: Lab, page: Any, port: int) -> None:
    attack = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
    message = f"ipc.Message({attack!r}.encode())"
    notebook = Notebook(lab, page, LIVE.format(port=port), f"ipc.run(channel.broadcast({attack!r}))\n{message}")
    notebook.run(0)
    notebook.run(1)
    wait_for_total(page, 1)
    page.locator(".rxm-live td", has_text="script").click()
    assert page.locator(".inspector .content").inner_text() == attack
    assert page.locator(".jp-Cell").nth(1).locator("table td", has_text=attack).count() == 1
    assert page.locator(".rxm-live script, .rxm-live img, .jp-OutputArea script").count() == 0
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_is_legible_in_a_theme(lab: Lab, page: Any, port: int, theme: str) -> None:
    notebook = Notebook(lab, page, LIVE.format(port=port), theme=theme)
    notebook.run(0)
    page.wait_for_selector(".rxm-live .status.live")
    finish(send(port, 100, 1_000))
    finish(send(port, 50, 1_000))
    wait_for_total(page, 150)
    page.locator(".rxm-live td", has_text="number").first.click()
    contrasts: dict[str, float] = page.evaluate(CONTRAST)
    assert len(contrasts) > 40
    assert {text: round(contrast, 2) for text, contrast in contrasts.items() if contrast < 4.5} == {}
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{theme}.png"))


@pytest.mark.skipif(not PICTURES, reason="a picture is made when LIVE_PICTURES names a folder for it")
def test_the_readmes_picture_is_made(lab: Lab, page: Any) -> None:
    code = "import rx_multicast_ipc as ipc\nfrom rx_multicast_ipc.notebook import live\n\nlive(ipc.open_channel())"
    page.set_viewport_size({"width": 1180, "height": 860})
    notebook = Notebook(lab, page, code)
    notebook.run(0)
    page.wait_for_selector(".rxm-live .status.live")
    with python(CONVERSATION, ipc.DEFAULT_PORT) as conversation:
        assert conversation.wait(120) == 0
    page.locator(".rxm-live td", has_text="roof").first.click()
    page.get_by_text("tags:").click()
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    cell = page.locator(".jp-Cell").first
    cell.screenshot(path=str(Path(str(PICTURES)) / "live.png"))
