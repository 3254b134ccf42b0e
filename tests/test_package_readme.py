"""The README of a package index: its pictures and links lead somewhere from there."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import Any

import pytest

from .helpers import ROOT

SOURCE = "https://code.example/rx_multicast_ipc/"


def test_pictures_and_links_have_addresses_once_the_repository_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hatchling", reason="needs what builds the package: pip install hatchling")
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    hook = import_module("hatch_build").ReadmeHook(str(ROOT), {})
    metadata: dict[str, Any] = {"urls": {"Source": SOURCE}}
    hook.update(metadata)
    text = metadata["readme"]["text"]
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", text)
    assert all(target.startswith(("https://", "#")) for _, target in links)
    assert f"]({SOURCE}raw/HEAD/docs/live.png)" in text
    assert f"]({SOURCE}blob/HEAD/docs/tutorial.md)" in text


def test_without_a_repository_the_readme_is_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hatchling", reason="needs what builds the package: pip install hatchling")
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    metadata: dict[str, Any] = {}
    import_module("hatch_build").ReadmeHook(str(ROOT), {}).update(metadata)
    assert metadata["readme"]["text"] == (ROOT / "README.md").read_text("utf-8")
