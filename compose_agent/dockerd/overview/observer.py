"""The reading end of the overview: inventory, usage and the host's files, with a memory for rates."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from compose_agent.dockerd.inventory import Link
from compose_agent.dockerd.model import Container, Engine
from compose_agent.dockerd.overview.build import host_overview, rows
from compose_agent.dockerd.overview.model import Overview
from compose_agent.dockerd.overview.rates import (
    FIRST_SECONDS,
    RateMeter,
    Reading,
    host_busy_between,
    rates_between,
    reading,
)
from compose_agent.dockerd.usage.host import HostSample, read_host
from compose_agent.dockerd.usage.reader import Readings
from compose_agent.errors import EngineError

logger = logging.getLogger(__name__)

# Only the stats API needs time, where files cannot be read; before Engine 23.0.8 a call takes a second.
USAGE_TIMEOUT_SECONDS = 3.0
# Viewers that come within this time get the same answer: ten open pages cost little more than one.
SHARED_SECONDS = 0.5


class InventoryView(Protocol):
    """What is asked of an :class:`~compose_agent.dockerd.inventory.Inventory`."""

    def containers(self) -> tuple[Container, ...]: ...  # noqa: D102
    def engine(self) -> Engine: ...  # noqa: D102
    def link(self) -> Link: ...  # noqa: D102
    def wait_complete(self, timeout: float) -> bool: ...  # noqa: D102


class UsageView(Protocol):
    """What is asked of a :class:`~compose_agent.dockerd.usage.UsageReader`."""

    def read(self, containers: Iterable[Container], timeout: float) -> Readings: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Clocks:
    """The three times that an observer needs: Unix time, monotonic time, waiting."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


class Observer:
    """Gives the overview of this moment. Thread-safe; readers take turns.

    ``procfs`` is where the host's /proc is seen, None for an Engine on another host.
    """

    def __init__(
        self,
        inventory: InventoryView,
        usage: UsageView,
        procfs: Path | None,
        clocks: Clocks = Clocks(),
    ) -> None:
        self._inventory = inventory
        self._usage = usage
        self._procfs = procfs
        self._clocks = clocks
        self._meter = RateMeter()
        self._lock = threading.Lock()
        self._last: tuple[float, Overview] | None = None

    def overview(self) -> Overview:
        """Return the overview; the first one after a while takes two readings half a second apart."""
        with self._lock:
            if self._last and self._clocks.monotonic() - self._last[0] < SHARED_SECONDS:
                return self._last[1]
            if self._meter.base(self._clocks.monotonic()) is None:
                self._meter.keep(self._read(self._inventory.containers()))
                self._clocks.sleep(FIRST_SECONDS)
            found = self._observe()
            self._last = (self._clocks.monotonic(), found)
            return found

    def _observe(self) -> Overview:
        link, containers = self._inventory.link(), self._inventory.containers()
        after = self._read(containers)
        before = self._meter.base(after.at) or after
        self._meter.keep(after)
        now = self._clocks.now()
        found = rows(containers, after.samples, rates_between(before, after), now)
        host = host_overview(
            self._inventory.engine(),
            link,
            found,
            after.host,
            host_busy_between(before, after),
            complete=self._complete(),
        )
        return Overview(now, host, found)

    def _read(self, containers: tuple[Container, ...]) -> Reading:
        at = self._clocks.monotonic()
        samples = self._usage.read(containers, USAGE_TIMEOUT_SECONDS).samples
        return reading(at, containers, samples, self._read_host())

    def _read_host(self) -> HostSample | None:
        if self._procfs is None:
            return None
        try:
            return read_host(self._procfs)
        except (OSError, ValueError) as error:
            logger.debug("cannot read the host", extra={"error": str(error)})
            return None

    def _complete(self) -> bool:
        try:
            return self._inventory.wait_complete(0)
        except EngineError:
            return False  # the link says why
