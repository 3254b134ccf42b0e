"""A real browser, for tests of the front end. Without playwright or Chromium they skip, and say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from ..helpers import PATIENCE

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")

VIEWPORT = {"width": 1000, "height": 700}


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium, which reaches 127.0.0.1 alone."""
    sync_api: Any = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt install chromium, or set CHROMIUM to its path")
    arguments = ["--disable-background-networking", "--disable-component-update"]
    arguments.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched.new_context(viewport=VIEWPORT, timezone_id="UTC")
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that must not ask any other host for anything, nor raise."""
    faults: list[str] = []

    def asked(request: Any) -> None:
        url: str = request.url
        if urlsplit(url).hostname not in (None, "127.0.0.1"):
            faults.append(f"foreign request: {url}")

    def raised(error: object) -> None:
        faults.append(str(error))

    page = browser.new_page()
    page.set_default_timeout(2 * PATIENCE * 1000)
    page.on("request", asked)
    page.on("websocket", asked)
    page.on("pageerror", raised)
    yield page
    page.close()
    assert faults == []
