"""The pictures of README.md, taken by a real browser.

    scripts/screenshots [FOLDER]        docs/images unless told otherwise

Nothing in them is made up: the bundle runs on an Engine of its own, one service of its demo breaks and is
mended; and three hosts with Engines of their own register over TLS with a manager, and one loses its cable.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Browser, HttpCredentials, ViewportSize

from lab import LabError
from lab.browser import browsing
from lab.bundle import ROOT, Bundle
from lab.engine import PrivateEngine
from lab.fleet import fleet
from lab.manager import PORT

FOLDER = ROOT / "docs" / "images"
DESK, PHONE = ViewportSize(width=1280, height=860), ViewportSize(width=390, height=844)
USER = "admin"
HOSTS = ("berlin-1", "berlin-2", "oslo-1")
# An image is built, a deployment has its minute of peace, a check fails as often as it may.
_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 1.0
# Rates need two readings.
_SETTLE_SECONDS = 6.0


def main() -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        browsing() as browser,
        PrivateEngine("28", share_network=True) as engine,
        Bundle(engine, Path(scratch), name="shop", profiles=["demo"]) as bundle,
    ):
        bundle.up()
        picture_host(browser, bundle, folder)
    with tempfile.TemporaryDirectory() as scratch:
        picture_fleet(Path(scratch), folder)
    return 0


def picture_host(browser: Browser, bundle: Bundle, folder: Path) -> None:
    """Take the pages of exporter and remediation, after a service was broken and mended."""
    name = str(bundle.containers("demo-web")[0].name)
    bundle.run(ROOT / "scripts" / "demo", "break")
    until("the container is mended", lambda: '"state":"done"' in _actions(bundle, name))
    bundle.run(ROOT / "scripts" / "demo", "burn")
    until("a replica more", lambda: len(bundle.containers("demo-worker")) > 1)
    time.sleep(_SETTLE_SECONDS)
    secret = (bundle.secrets / f"{USER}-password").read_text(encoding="utf-8").strip()
    user = HttpCredentials(username=USER, password=secret)
    remediation = bundle.url("REMEDIATION")
    take(browser, bundle.url("EXPORTER"), folder / "exporter.png")
    take(browser, remediation, folder / "remediation.png", user=user)
    take(browser, f"{remediation}/why?word={name}", folder / "why.png", user=user)
    take(browser, remediation, folder / "phone.png", user=user, size=PHONE)


def _actions(bundle: Bundle, target: str) -> str:
    return bundle.say("actions", "--json", f"--target={target}").output.replace(" ", "")


def picture_fleet(scratch: Path, folder: Path) -> None:
    """Take the manager's table of nodes, one of which does not answer since its cable was pulled."""
    with fleet(HOSTS, scratch) as site, browsing(site.lan.enter()) as browser:
        until("all nodes are there", lambda: site.states() == dict.fromkeys(HOSTS, "online"))
        until("all have told of their containers", lambda: all(map(site.manager.containers, HOSTS)))
        site.hosts[-1].cable.pull()
        until("one is offline", lambda: site.state(HOSTS[-1]) == "offline")
        take(browser, f"https://{site.lan.address}:{PORT}/", folder / "fleet.png")


def take(
    browser: Browser, url: str, path: Path, *, size: ViewportSize = DESK, user: HttpCredentials | None = None
) -> None:
    """Write what a person sees at ``url`` to the PNG file ``path``."""
    # A manager of the lab has an authority of its own, which no browser knows.
    with closing(
        browser.new_context(viewport=size, http_credentials=user, ignore_https_errors=True)
    ) as context:
        page = context.new_page()
        page.goto(url)
        page.locator("main").wait_for()
        page.screenshot(path=path)
    print(path, file=sys.stderr)


def until(what: str, true: Callable[[], bool]) -> None:
    """Wait for it; LabError when it does not come."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {_PATIENCE_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
