"""The inventory: a live model of every container, kept by events and one inspect for each change.

Three threads and a few inspectors: the *follower* holds the event stream open, the *inspectors* turn changed
ids into containers, the *heartbeat* pings, so that a hanging Engine is noticed although its stream is merely
silent. Every five minutes or so the *reconcile* lists all containers and has them inspected anew, as the
follower does after each connect: the Engine skips slow readers of events without a word, keeps 256 events,
and loses them when it restarts.

The follower subscribes first and lists then, so that nothing falls between; and it subscribes from a moment
that is past, because the Engine answers before it listens.

Only the follower brings the link up. Whoever finds the Engine gone takes it down and closes the stream,
and the follower connects again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from compose_agent.dockerd.declared import NOTHING, Declared
from compose_agent.dockerd.inspector import Inspector
from compose_agent.dockerd.ledger import Ledger
from compose_agent.dockerd.model import Container, Engine, engine_from_json
from compose_agent.dockerd.moments import engine_time
from compose_agent.dockerd.stream import Event, EventStream
from compose_agent.errors import EngineError, EnginePermission, EngineUnreachable, EngineUnsupported

logger = logging.getLogger(__name__)

# A missed event stays unseen no longer than this; listing is the Engine's most expensive call.
RECONCILE_SECONDS = 300.0
# Many hosts started together must not list together.
RECONCILE_JITTER = 0.1
# After a list that failed; an Engine whose list hangs is not to be asked for it all the time.
RECONCILE_RETRY_SECONDS = 30.0
# With the ping's deadline of 2 s a hang is known within 4 s.
HEARTBEAT_SECONDS = 2.0
RECONNECT_FIRST_SECONDS = 0.25
# Longest wait between attempts, so that a returning Engine is seen well within 5 s. A stream that held for
# less is a failed attempt: an Engine that ends each stream at once must not be listed in a tight loop.
RECONNECT_LAST_SECONDS = 2.0
# States that end by themselves, and without an event when somebody stops or kills a container that waits for
# its restart, when that restart fails, or a removal does: they are asked for with each heartbeat.
TRANSIENT = ("restarting", "removing")
# Threads that wait for an answer see the end after its deadline; nobody waits for them that long.
STOP_SECONDS = 2.0


class EngineCalls(Protocol):
    """What the inventory asks of an :class:`~compose_agent.dockerd.client.EngineClient`."""

    def negotiate(self) -> object: ...  # noqa: D102
    def ping(self) -> object: ...  # noqa: D102
    def info(self) -> dict[str, object]: ...  # noqa: D102
    def version(self) -> dict[str, object]: ...  # noqa: D102
    def list_containers(self) -> list[dict[str, object]]: ...  # noqa: D102
    def inspect(self, container_id: str) -> dict[str, object]: ...  # noqa: D102
    def events(self, since_ns: int | None = None) -> EventStream: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Link:
    """How the connection to the Engine stands: ``up``, since when (Unix seconds), and the last error."""

    up: bool = False
    since: float = 0.0
    error: str = "not connected yet"


@dataclass(frozen=True, slots=True)
class Counts:
    """What the inventory counts of its own work since it started."""

    connects: int = 0
    reconciles: int = 0
    missed_changes: int = 0


def _not_listening(event: Event) -> None:
    """Take no notice."""


class Inventory:
    """Containers and Engine as they are now. ``start`` it once; every read is a snapshot without waiting.

    ``on_event`` hears of each event of a container, in order, in the thread that all containers wait for: it
    must neither wait nor raise. After a reconnect it may hear the last one again. ``since_ns`` is the moment
    of the Engine's clock from which on it is told what the Engine still remembers; None for from now on.
    ``on_look`` is called whenever a container was looked at. ``declared`` adds labels to those that stand on
    containers; ``refresh`` asks it anew.
    """

    def __init__(
        self,
        client: EngineCalls,
        *,
        reconcile_seconds: float = RECONCILE_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        now: Callable[[], float] = time.time,
        on_event: Callable[[Event], None] = _not_listening,
        since_ns: int | None = None,
        on_look: Callable[[], None] = lambda: None,
        declared: Declared = NOTHING,
    ) -> None:
        self._client = client
        self._on_event = on_event
        self._reconcile_seconds = reconcile_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._now = now
        self._ledger = Ledger(since_ns)
        self._inspector = Inspector(client.inspect, self._ledger, on_look=on_look, declared=declared)
        self._engine = Engine()
        self._link = Link(since=now())
        self._counts = Counts()
        self._fatal: EngineError | None = None
        self._said: set[str] = set()
        self._stop = threading.Event()
        # Guards link, counts, stream and what was said; nothing is waited for while it is held.
        self._lock = threading.Lock()
        self._stream: EventStream | None = None
        self._threads = [
            threading.Thread(target=self._follow, name="engine-events", daemon=True),
            threading.Thread(target=self._beat, name="engine-heartbeat", daemon=True),
            threading.Thread(target=self._reconcile_regularly, name="engine-reconcile", daemon=True),
        ]

    def start(self) -> None:
        """Begin to connect; an Engine that is absent is waited for."""
        self._inspector.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the stream and the threads; one that waits for a hanging Engine ends when its call does."""
        deadline = time.monotonic() + STOP_SECONDS
        self._stop.set()
        self._close_stream()
        self._inspector.stop()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=max(0.0, deadline - time.monotonic()))
        self._inspector.stop(max(0.0, deadline - time.monotonic()))

    def refresh(self) -> None:
        """Look at every container anew, because something beside the Engine has changed."""
        for container in self._ledger.snapshot():
            self._inspector.ask(container.id)

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
        """Wait until every container listed at the last connect was inspected or at least tried.

        Return False after ``timeout``; raise the EnginePermission or EngineUnsupported that no waiting
        will mend. What changes later is inspected without becoming incomplete; a lost Engine is incomplete
        until it is back.
        """
        deadline = time.monotonic() + timeout
        while not self._inspector.wait_settled(0.05):
            if fatal := self._fatal:
                raise fatal
            if time.monotonic() >= deadline:
                return False
        return True

    def unknown(self) -> int:
        """Return how many containers are there of which every inspect has failed so far."""
        return len(self._inspector.failing() - self._ledger.ids())

    def behind(self) -> frozenset[str]:
        """Return the ids of containers that may not be any more as ``containers`` has them.

        Ask before ``containers``: who is not among them is at least as new there.
        """
        return self._inspector.behind()

    def _follow(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            wait = min(max(wait * 2, RECONNECT_FIRST_SECONDS), RECONNECT_LAST_SECONDS)
            try:
                self._follow_once()
                wait = 0.0
            except EngineError as error:
                self._went_down(error)
            except Exception as error:  # the follower's outermost loop: without it the picture stands still
                logger.exception("cannot follow the Engine")
                self._went_down(EngineError(f"following the Engine failed: {error}"))

    def _follow_once(self) -> None:
        """Connect and apply events until the stream ends; raise unless it held for a while.

        The link stays up between a stream that held and the attempt that comes at once: it takes an Engine
        that is gone down, and leaves up one behind a proxy that ends idle streams.
        """
        self._client.negotiate()
        info = self._client.info()
        self._engine = engine_from_json(info, self._client.version())
        if (now_ns := engine_time(info)) is not None:
            self._ledger.begin(now_ns)
        with self._subscribed() as stream:
            self._reconcile(connected=True)
            self._came_up()
            self._read(stream, time.monotonic() + RECONNECT_LAST_SECONDS)

    def _subscribed(self) -> EventStream:
        stream = self._client.events(self._ledger.resume_ns)
        with self._lock:
            self._stream = stream
        if self._stop.is_set():
            self._close_stream()
        return stream

    def _read(self, stream: EventStream, long_enough: float) -> None:
        end = EngineUnreachable("the Engine ended the event stream")
        try:
            for event in stream:
                if self._ledger.apply(event):
                    self._inspector.ask(event.container_id)
                self._on_event(event)
        except EngineError as error:
            if time.monotonic() < long_enough:
                raise
            logger.info("event stream broke", extra={"error": str(error)})
        else:
            if time.monotonic() < long_enough and not self._stop.is_set():
                raise end

    def _reconcile(self, *, connected: bool) -> None:
        """List and have everything inspected; unless just ``connected``, a change is one that was missed."""
        known = self._ledger.ids()
        listed = [str(each["Id"]) for each in self._client.list_containers()]
        self._ledger.retain(listed, known, expected=connected)
        self._inspector.ask_all(listed, changed=connected)
        with self._lock:
            self._counts = replace(self._counts, reconciles=self._counts.reconciles + 1)

    def _reconcile_regularly(self) -> None:
        wait = self._with_jitter(self._reconcile_seconds)
        while not self._stop.wait(wait):
            wait = self._with_jitter(self._reconcile_seconds)
            if not self._link.up:
                continue  # the next connect lists
            try:
                self._reconcile(connected=False)
            except EngineError as error:
                self._say_once("cannot list containers", error)
                wait = min(wait, RECONCILE_RETRY_SECONDS)

    def _with_jitter(self, seconds: float) -> float:
        return seconds * random.uniform(1 - RECONCILE_JITTER, 1 + RECONCILE_JITTER)  # noqa: S311 - spreads load

    def _beat(self) -> None:
        """Ping while the link is up; while it is down the follower's attempts are pings themselves."""
        while not self._stop.wait(self._heartbeat_seconds):
            link = self._link
            if not link.up:
                continue
            try:
                self._client.ping()
            except EngineError as error:
                if self._link is link:  # else the follower has connected anew meanwhile
                    self._went_down(error)
                    self._close_stream()
            else:
                for container in self._ledger.snapshot():
                    if container.state in TRANSIENT:
                        self._inspector.ask(container.id)

    def _close_stream(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream:
            stream.close()

    def _came_up(self) -> None:
        with self._lock:
            self._fatal = None
            self._said.clear()
            since = self._link.since if self._link.up else self._now()
            self._link = Link(up=True, since=since, error="")
            self._counts = replace(self._counts, connects=self._counts.connects + 1)
        logger.info("following the Engine", extra={"version": self._engine.version})

    def _went_down(self, error: EngineError) -> None:
        self._inspector.pause()
        with self._lock:
            self._fatal = error if isinstance(error, EnginePermission | EngineUnsupported) else None
            since = self._now() if self._link.up else self._link.since
            self._link = Link(up=False, since=since, error=str(error))
        self._say_once("no Engine", error)

    def _say_once(self, what: str, error: EngineError) -> None:
        """Log the first error of each kind until the Engine is there again: it may be away for days."""
        said = f"{what}: {type(error).__name__}"
        with self._lock:
            new = said not in self._said
            self._said.add(said)
        if new:
            logger.warning(what, extra={"error": str(error)})
