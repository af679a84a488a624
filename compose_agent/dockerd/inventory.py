"""The inventory: a live model of every container, kept by events and one inspect for each change.

Three threads and a few inspectors: the *follower* holds the event stream open (subscribe first, then list,
so that nothing falls between), the *inspectors* turn changed ids into containers, the *heartbeat* pings, so
that a hanging Engine is noticed although its stream is merely silent. Every five minutes or so, and after
each reconnect, all containers are listed and inspected anew: the Engine skips slow readers of events
without a word, keeps 256 events, and loses them when it restarts.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from compose_agent.dockerd.inspector import Inspector
from compose_agent.dockerd.ledger import Ledger
from compose_agent.dockerd.model import Container, Engine, engine_from_json
from compose_agent.dockerd.stream import Event, EventStream
from compose_agent.errors import EngineError, EnginePermission, EngineUnsupported

logger = logging.getLogger(__name__)

# A missed event stays unseen no longer than this; listing is the Engine's most expensive call.
RECONCILE_SECONDS = 300.0
# Many hosts started together must not list together.
RECONCILE_JITTER = 0.1
# With the ping's deadline of 2 s a hang is known within 4 s, and its end within 2 s.
HEARTBEAT_SECONDS = 2.0
RECONNECT_FIRST_SECONDS = 0.25
# Longest wait between attempts, so that a returning Engine is seen well within 5 s.
RECONNECT_LAST_SECONDS = 2.0


class EngineCalls(Protocol):
    """What the inventory asks of an :class:`~compose_agent.dockerd.client.EngineClient`."""

    def negotiate(self) -> object: ...  # noqa: D102
    def ping(self) -> object: ...  # noqa: D102
    def info(self) -> dict[str, object]: ...  # noqa: D102
    def version(self) -> dict[str, object]: ...  # noqa: D102
    def list_containers(self) -> list[dict[str, object]]: ...  # noqa: D102
    def inspect(self, container_id: str) -> dict[str, object]: ...  # noqa: D102
    def events(self, since: str | None = None) -> EventStream: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Link:
    """How the connection to the Engine stands: ``up``, since when (Unix seconds), and the last error."""

    up: bool = False
    since: float = 0.0
    error: str = "not connected yet"


@dataclass(frozen=True, slots=True)
class Counts:
    """What the inventory counts of its own work since it started."""

    reconnects: int = 0
    reconciles: int = 0
    missed_changes: int = 0


class Inventory:
    """Containers and Engine as they are now. ``start`` it once; every read is a snapshot without waiting."""

    def __init__(
        self,
        client: EngineCalls,
        *,
        reconcile_seconds: float = RECONCILE_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._reconcile_seconds = reconcile_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._now = now
        self._ledger = Ledger()
        self._inspector = Inspector(client.inspect, self._ledger)
        self._engine = Engine()
        self._link = Link(since=now())
        self._counts = Counts()
        self._fatal: EngineError | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._stream: EventStream | None = None
        self._threads = [
            threading.Thread(target=self._follow, name="engine-events", daemon=True),
            threading.Thread(target=self._beat, name="engine-heartbeat", daemon=True),
        ]

    def start(self) -> None:
        """Begin to connect; an Engine that is absent is waited for."""
        self._inspector.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the stream and the threads."""
        self._stop.set()
        self._close_stream()
        self._inspector.stop()
        for thread in self._threads:
            thread.join(timeout=RECONNECT_LAST_SECONDS)

    def containers(self) -> tuple[Container, ...]:
        """Return every container, sorted by name; the same object as long as nothing changed."""
        return self._ledger.snapshot()

    def engine(self) -> Engine:
        """Return what the Engine last said of itself."""
        return self._engine

    def link(self) -> Link:
        """Return how the connection stands."""
        return self._link

    def counts(self) -> Counts:
        """Return what was counted so far."""
        return replace(self._counts, missed_changes=self._ledger.missed_changes)

    def wait_complete(self, timeout: float) -> bool:
        """Wait until every container that was there at the start has been inspected; False after ``timeout``.

        Raises the EnginePermission or EngineUnsupported that no waiting will mend.
        """
        deadline = time.monotonic() + timeout
        while not self._inspector.wait_settled(0.05):
            if self._fatal:
                raise self._fatal
            if time.monotonic() >= deadline:
                return False
        return True

    def _follow(self) -> None:
        wait = RECONNECT_FIRST_SECONDS
        while not self._stop.is_set():
            try:
                self._follow_once()
                wait = RECONNECT_FIRST_SECONDS
            except EngineError as error:
                if self._link.up:
                    wait = RECONNECT_FIRST_SECONDS
                self._went_down(error)
            if not self._stop.wait(wait):
                wait = min(wait * 2, RECONNECT_LAST_SECONDS)

    def _follow_once(self) -> None:
        """Connect, subscribe, list, and apply events until the stream ends."""
        self._client.negotiate()
        stream = self._client.events(self._ledger.last_event)
        with self._lock:
            self._stream = stream
        try:
            self._engine = engine_from_json(self._client.info(), self._client.version())
            self._reconcile(changed=True)
            self._came_up()
            for event in stream:
                self._apply(event)
        finally:
            self._close_stream()

    def _apply(self, event: Event) -> None:
        if self._ledger.apply(event):
            self._inspector.ask(event.container_id)

    def _reconcile(self, *, changed: bool) -> None:
        listed = [str(each["Id"]) for each in self._client.list_containers()]
        self._ledger.retain(listed)
        self._inspector.ask_all(listed, changed=changed)
        self._counts = replace(self._counts, reconciles=self._counts.reconciles + 1)

    def _beat(self) -> None:
        next_reconcile = self._reconcile_due()
        while not self._stop.wait(self._heartbeat_seconds):
            try:
                self._client.ping()
                if not self._link.up:
                    self._close_stream()  # it may be dead without a sign; a new one misses nothing
                elif time.monotonic() >= next_reconcile:
                    self._reconcile(changed=False)
                    next_reconcile = self._reconcile_due()
            except EngineError as error:
                self._went_down(error)

    def _reconcile_due(self) -> float:
        jitter = random.uniform(-RECONCILE_JITTER, RECONCILE_JITTER)  # noqa: S311 - spreads load, guards nothing
        return time.monotonic() + self._reconcile_seconds * (1 + jitter)

    def _close_stream(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream:
            stream.close()

    def _came_up(self) -> None:
        self._fatal = None
        self._link = Link(up=True, since=self._now(), error="")
        self._counts = replace(self._counts, reconnects=self._counts.reconnects + 1)
        logger.info("following the Engine", extra={"version": self._engine.version})

    def _went_down(self, error: EngineError) -> None:
        self._fatal = error if isinstance(error, EnginePermission | EngineUnsupported) else None
        if self._link.up or self._link.error != str(error):
            logger.warning("no Engine", extra={"error": str(error)})
        self._link = Link(
            up=False, since=self._link.since if not self._link.up else self._now(), error=str(error)
        )
