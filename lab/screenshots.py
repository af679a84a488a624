"""The pictures of README.md, taken by a real browser.

    scripts/screenshots [FOLDER]        docs/images unless told otherwise

Nothing in them is made up: the bundle runs on an Engine of its own, one service of its demo breaks and is
mended, and at a fleet's manager three agents of this machine register, one of which is killed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from playwright.sync_api import Browser, Error, HttpCredentials, ViewportSize

from lab import LabError
from lab.browser import browsing
from lab.bundle import ROOT, Bundle
from lab.engine import PrivateEngine
from lab.loopback import free_port

FOLDER = ROOT / "docs" / "images"
DESK, PHONE = ViewportSize(width=1280, height=860), ViewportSize(width=390, height=844)
USER = "admin"
NODES = ("berlin-1", "berlin-2", "oslo-1")
AGENT = (
    "--register",
    "--agent.heartbeat-interval=2s",
    "--exporter.web.listen-address=127.0.0.1:0",
    "--remediation.web.listen-address=127.0.0.1:0",
)
# An image is built, a deployment has its minute of peace, a check fails as often as it may.
_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 1.0
# Rates need two readings.
_SETTLE_SECONDS = 6.0
_STOP_SECONDS = 20.0


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
        picture_fleet(browser, engine, Path(scratch), folder)
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


def picture_fleet(browser: Browser, engine: PrivateEngine, scratch: Path, folder: Path) -> None:
    """Take the manager's table of nodes, one of which does not answer."""
    port = free_port()
    with ExitStack() as stack:
        listen = f"--web.listen-address=127.0.0.1:{port}"
        _start(stack, scratch / "manager", {}, "manager", "--insecure", listen)
        shared = {"MANAGER_URL": f"ws://127.0.0.1:{port}/agent", "DOCKER_HOST": engine.host}
        agents = [_start(stack, scratch / node, {**shared, "NODE_ID": node}, "run", *AGENT) for node in NODES]
        home = f"http://127.0.0.1:{port}/"
        until("all nodes are there", lambda: _page_says(browser, home, *NODES))
        agents[-1].kill()
        until("one is offline", lambda: _page_says(browser, f"{home}?state=offline", NODES[-1]))
        take(browser, home, folder / "fleet.png")


def _start(
    stack: ExitStack, state: Path, environment: dict[str, str], *words: str
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "compose_agent", *words, f"--state-dir={state}"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
    stack.callback(process.wait, _STOP_SECONDS)
    stack.callback(process.terminate)
    return process


def _page_says(browser: Browser, url: str, *texts: str) -> bool:
    with closing(browser.new_page()) as page:
        try:
            page.goto(url)
        except Error:
            return False  # it has not begun to listen
        said = page.locator("main").inner_text()
    return all(text in said for text in texts)


def take(
    browser: Browser, url: str, path: Path, *, size: ViewportSize = DESK, user: HttpCredentials | None = None
) -> None:
    """Write what a person sees at ``url`` to the PNG file ``path``."""
    with closing(browser.new_context(viewport=size, http_credentials=user)) as context:
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
