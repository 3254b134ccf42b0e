"""JupyterLab on 127.0.0.1, and a notebook in it that a test works with as a person would."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..helpers import PATIENCE, ROOT

SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}


class Lab(NamedTuple):
    """A server.

    Attributes:
        url: of its root.
        token: lets a browser in.
        folder: that it serves.
    """

    url: str
    token: str
    folder: Path


@contextmanager
def running_lab(folder: Path) -> Generator[Lab]:
    """JupyterLab that asks nobody outside for anything, ended with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    served, state = folder / "served", folder / "state"
    for new in (served, state / "lab" / "settings"):
        new.mkdir(parents=True)
    (state / "lab" / "settings" / "overrides.json").write_text(json.dumps(SETTINGS))
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.root_dir": served,
        "IdentityProvider.token": token,
        "LabApp.expose_app_in_browser": True,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
        "LabApp.news_url": "None",
        "LabApp.app_settings_dir": state / "lab" / "settings",
        "LabApp.user_settings_dir": state / "user-settings",
        "LabApp.workspaces_dir": state / "workspaces",
    }
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_RUNTIME_DIR": str(state / "runtime"),
        "JUPYTER_CONFIG_DIR": str(state / "config"),
        "JUPYTER_DATA_DIR": str(state / "data"),
        "IPYTHONDIR": str(state / "ipython"),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())],
            stdout=log,
            stderr=log,
            env=environment,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/api?token={token}", process, folder / "log")
        yield Lab(url, token, served)
    finally:
        process.terminate()  # it ends its kernels
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Notebook:
    """A notebook that is open in a browser's page, with these cells of code."""

    def __init__(self, lab: Lab, page: Any, *cells: str, theme: str = "JupyterLab Light") -> None:
        self.page = page
        name = f"{secrets.token_hex(4)}.ipynb"
        code: list[dict[str, Any]] = [
            {
                "cell_type": "code",
                "id": f"cell-{i}",
                "metadata": {},
                "source": cell,
                "outputs": [],
                "execution_count": None,
            }
            for i, cell in enumerate(cells)
        ]
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        (lab.folder / name).write_text(
            json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": code})
        )
        page.goto(f"{lab.url}/doc/tree/{name}?token={lab.token}&reset")
        page.wait_for_function(
            "n => [...document.querySelectorAll('.jp-InputPrompt')].filter((prompt) => prompt.innerText).length === n",
            arg=len(cells),
        )
        page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.ready")
        page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
        self.command("apputils:change-theme", theme=theme)
        page.wait_for_selector(f'body[data-jp-theme-name="{theme}"]', state="attached")

    def command(self, command: str, **arguments: Any) -> None:
        """One of JupyterLab's own commands."""
        self.page.evaluate(
            "([command, arguments]) => jupyterapp.commands.execute(command, arguments).then(() => null)",
            [command, arguments],
        )

    def begin(self, cell: int) -> None:
        """Have a cell run, and do not wait for it."""
        self.page.evaluate("cell => { jupyterapp.shell.currentWidget.content.activeCellIndex = cell }", cell)
        self.page.evaluate("() => { jupyterapp.commands.execute('notebook:run-cell') }")
        self.page.wait_for_function(
            "cell => !document.querySelectorAll('.jp-InputPrompt')[cell].innerText.includes('[ ]')",
            arg=cell,
        )

    def is_running(self, cell: int) -> bool:
        return "[*]" in self.page.locator(".jp-Cell").nth(cell).locator(".jp-InputPrompt").inner_text()

    def run(self, cell: int) -> str:
        """Run a cell to its end, and return what it printed."""
        self.begin(cell)
        self.wait(cell)
        return self.output(cell)

    def wait(self, cell: int) -> None:
        self.page.wait_for_function(
            "cell => /\\d/.test(document.querySelectorAll('.jp-InputPrompt')[cell].innerText)",
            arg=cell,
        )

    def output(self, cell: int) -> str:
        found = self.page.locator(".jp-Cell").nth(cell).locator(".jp-OutputArea-output pre").all_inner_texts()
        return "\n".join(found).strip()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 2 * PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"JupyterLab did not start: {log.read_text()}") from None
            time.sleep(0.1)
