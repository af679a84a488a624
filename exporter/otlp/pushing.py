"""Whether metrics are pushed, and where to: put together when somebody asks for it, and not before."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from compose_agent.tracing.settings import METRICS, Collector, TracingSettings, collector
from exporter.families import Scrape
from exporter.rows import Row

if TYPE_CHECKING:
    from exporter.otlp.pusher import Pusher

logger = logging.getLogger(__name__)

_PROCESS = "exporter"


class Pushing:
    """Has a pusher while there is to be one; ``look`` gives what is pushed, ``count`` hears of outcomes."""

    def __init__(
        self,
        tracing: TracingSettings,
        look: Callable[[], tuple[Scrape, list[Row]]],
        count: Callable[[str], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._tracing = tracing
        self._look = look
        self._count = count
        self._environ = environ
        self._interval = 0.0
        self._pusher: Pusher | None = None

    def change(self, interval: float) -> None:
        """Push every ``interval`` seconds from now on; 0: never."""
        if interval == self._interval:
            return
        self._interval = interval
        if self._pusher:
            self._pusher.stop()
        self._pusher = self._made(interval) if interval else None
        if self._pusher:
            self._pusher.start()

    def _made(self, interval: float) -> Pusher | None:
        where = collector(self._tracing, self._environ, METRICS)
        if where is None:
            logger.warning("metrics are not pushed: no collector is configured; set tracing.endpoint")
            return None
        return _pusher(where, interval, self._look, self._count)


def _pusher(
    where: Collector,
    interval: float,
    look: Callable[[], tuple[Scrape, list[Row]]],
    count: Callable[[str], None],
) -> Pusher:
    # Only who pushes carries it; the resource brings OpenTelemetry's SDK in, as tracing does.
    from compose_agent.tracing.post import Poster  # noqa: PLC0415
    from compose_agent.tracing.resource import resource_of  # noqa: PLC0415
    from exporter.otlp.encode import requests  # noqa: PLC0415
    from exporter.otlp.points import resources_of  # noqa: PLC0415
    from exporter.otlp.pusher import Pusher  # noqa: PLC0415

    ours = resource_of(_PROCESS)

    def made() -> Iterator[bytes]:
        scrape, rows = look()
        return requests(resources_of(scrape, rows, ours), time.time_ns())

    return Pusher(made, Poster(where), interval=interval, timeout=where.timeout, count=count)
