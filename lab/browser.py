"""A real Chromium without a window, driven by Playwright.

The machine's Chromium is taken, otherwise the distribution's package is installed: Playwright's own download
comes from a place that is not a package registry.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from lab import packages

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# It shall neither look for updates nor talk to anybody but the page that it is sent to.
_ARGUMENTS = (
    "--no-sandbox",  # as root it starts only so, and it sees no page but our own
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# A start on a machine whose processors are busy with tests in other processes.
_START_TIMEOUT_MS = 120_000


def program() -> str:
    """Return the path of Chromium; LabError when it is not there and cannot be installed."""
    found = next(filter(None, map(packages.which, _NAMES)), None)
    if found is None:
        packages.ensure_installed({"chromium": "chromium"})
        found = packages.which("chromium") or "chromium"
    return found


@contextmanager
def browsing(inside: Sequence[str] = ()) -> Iterator[Browser]:
    """Start a browser, in which ``new_page()`` opens pages, and end it.

    ``inside`` are the words that run a command elsewhere, as on the network of another host.
    """
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        script = Path(folder) / "chromium"
        script.write_text(f'#!/bin/sh\nexec {shlex.join([*inside, program()])} "$@"\n', encoding="utf-8")
        script.chmod(0o700)
        browser = playwright.chromium.launch(
            executable_path=script if inside else program(),
            args=list(_ARGUMENTS),
            timeout=_START_TIMEOUT_MS,
        )
        try:
            yield browser
        finally:
            browser.close()
