"""The documentation site, as ``.ci/docs`` made it (``SITE`` says where), or made here where Sphinx is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from .helpers import PATIENCE, ROOT

PUBLIC_MODULES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in (ROOT / "rx_multicast_ipc").rglob("__init__.py")
    if "\n__all__ = " in path.read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = os.environ.get("SITE")
    if made:
        return Path(made)
    if not all(map(find_spec, ("sphinx", "furo", "myst_parser"))):
        pytest.skip("needs what builds the site: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "--fail-on-warning", "-qE", "-b", "html", ROOT / "docs", folder]
    result = subprocess.run(build, capture_output=True, text=True, timeout=12 * PATIENCE, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return folder


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_every_public_name_is_on_a_page(site: Path, name: str) -> None:
    _, _, packed = (site / "objects.inv").read_bytes().partition(b"using zlib.\n")
    on_pages = {line.split(" ", 1)[0] for line in zlib.decompress(packed).decode().splitlines()}
    module, root = import_module(name), import_module("rx_multicast_ipc")
    public = {each for each in module.__all__ if each != "__version__"}
    of_the_root = {each for each in public if getattr(root, each, None) is getattr(module, each)}
    wanted = {f"{'rx_multicast_ipc' if each in of_the_root else name}.{each}" for each in public}
    assert wanted - on_pages == set()


def test_a_page_needs_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)="(https?:)?//', page.read_text("utf-8"))
        assert loaded == [], page


def test_the_search_works_from_files_without_a_server(site: Path, tmp_path: Path) -> None:
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        pytest.skip("needs Chromium")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    command += ["--virtual-time-budget=20000", "--dump-dom", f"{(site / 'search.html').as_uri()}?q=wait_for_message"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=6 * PATIENCE, check=False).stdout
    assert re.search(r'href="api/channels.html#rx_multicast_ipc.Channel.wait_for_message', found)
