"""A scraper that never rests, and what it holds against the exporter."""

from __future__ import annotations

import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from lab.agent import Agent
from soak.picture import shown

Standing = Literal["up", "away", "frozen", "unclear"]

# What the exporter is promised to answer in, whatever the Engine does; its own wait for stats is below it.
BUDGET_SECONDS = 2.0
SCRAPE_TIMEOUT_OPTION = "--scrape-timeout=1s"
# How long after a change docker_up may still be wrong: 5 s promised for an Engine that is back, 4 for one
# that hangs, at once for one that is gone; with half a second for a machine that does other things too.
SETTLED_SECONDS: dict[Standing, float] = {"up": 5.5, "frozen": 4.5, "away": 1.5}
_PAUSE_SECONDS = 0.1
_CLIENT_SECONDS = 20.0


class Watcher:
    """Scrape in a thread while in ``with``; tell it with ``stands`` how the Engine stands from now on."""

    def __init__(self, agent: Agent) -> None:
        self.violations: list[str] = []
        self.scrapes = 0
        self.slowest = 0.0
        self._url = agent.url + "/metrics"
        self._stop = threading.Event()
        self._standing: tuple[Standing, float] = ("unclear", time.monotonic())
        self._thread = threading.Thread(target=self._watch, name="soak-scraper")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def stands(self, standing: Standing) -> None:
        """Take note of how the Engine stands."""
        self._standing = (standing, time.monotonic())

    def _watch(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            before, started = self._standing, time.monotonic()
            try:
                with urllib.request.urlopen(self._url, timeout=_CLIENT_SECONDS) as response:  # noqa: S310
                    text = response.read().decode()
            except OSError as error:
                self.violations.append(f"no answer from /metrics: {error}")
                continue
            self._judge(text, before, started, time.monotonic() - started)

    def _judge(self, text: str, before: tuple[Standing, float], started: float, took: float) -> None:
        self.scrapes += 1
        self.slowest = max(self.slowest, took)
        if took > BUDGET_SECONDS:
            self.violations.append(f"/metrics took {took:.2f} s while the Engine was {before[0]}")
        standing, since = before
        settled = SETTLED_SECONDS.get(standing)
        if settled is None or before != self._standing or started - since < settled:
            return
        up = shown(text)[1]
        if up != float(standing == "up"):
            self.violations.append(f"docker_up is {up:g} after {started - since:.1f} s of {standing}")


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(each for each in status.splitlines() if each.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
