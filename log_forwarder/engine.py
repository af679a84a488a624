"""Logs by the Engine's API: of containers whose log driver leaves no files to read, or of all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from compose_agent.dockerd.inventory import Link
from compose_agent.dockerd.logstream import LogStream
from compose_agent.dockerd.model import Container
from compose_agent.errors import EngineError, StateError
from log_forwarder.sources.api import ApiFollower
from log_forwarder.sources.follower import Books
from log_forwarder.transforms.pipeline import Pipeline

logger = logging.getLogger(__name__)

# How late a new container may be noticed; to look is to compare one object with another.
LOOK_SECONDS = 0.2
# The log driver that keeps nothing.
NONE = "none"


class Containers(Protocol):
    """What is asked of an :class:`~compose_agent.dockerd.inventory.Inventory`."""

    def start(self) -> None: ...  # noqa: D102
    def stop(self) -> None: ...  # noqa: D102
    def containers(self) -> tuple[Container, ...]: ...  # noqa: D102
    def link(self) -> Link: ...  # noqa: D102


class LogCalls(Protocol):
    """What is asked of an :class:`~compose_agent.dockerd.client.EngineClient`."""

    def info(self) -> dict[str, Any]: ...  # noqa: D102
    def logs(self, container_id: str, *, tty: bool, since_ns: int) -> LogStream: ...  # noqa: D102


class Forgets(Protocol):
    """What is asked of a :class:`~log_forwarder.keeper.Keeper`."""

    def forget(self, container_id: str) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class ApiArrival:
    """A container that a lane is to follow by the API from now on."""

    container: Container
    client: LogCalls
    from_now: bool
    wake: Callable[[], None]

    def follow(self, books: Books, pipeline: Pipeline | None = None) -> ApiFollower:
        """Return a follower that goes on where the books say."""
        container = self.container

        def open_stream(since_ns: int) -> LogStream:
            return self.client.logs(container.id, tty=container.tty, since_ns=since_ns)

        return ApiFollower(
            container, open_stream, books, pipeline=pipeline, from_now=self.from_now, wake=self.wake
        )

    def changed(self, container: Container) -> ApiArrival:
        """Return the same with what is known of the container now."""
        return replace(self, container=container)


class ApiLane(Protocol):
    """What is asked of a :class:`~log_forwarder.lane.Lane`."""

    def add(self, arrival: ApiArrival) -> None: ...  # noqa: D102
    def update(self, container: Container) -> None: ...  # noqa: D102
    def notice(self, container_ids: Sequence[str]) -> None: ...  # noqa: D102
    def follower(self, container_id: str) -> object: ...  # noqa: D102
    def forget(self, container_id: str, *, gone: bool) -> None: ...  # noqa: D102


class EngineLogs:
    """Tells every lane of the containers that the API is needed for, once ``begin`` was called.

    ``needs_api`` tells which those are, ``reason_against`` which are not shipped at all, ``begins_now`` which
    are read from now on only.
    """

    def __init__(
        self,
        inventory: Containers,
        client: LogCalls,
        keeper: Forgets,
        *,
        needs_api: Callable[[Container], bool],
        reason_against: Callable[[Container], str | None],
        begins_now: Callable[[Container], bool],
    ) -> None:
        self._inventory = inventory
        self._client = client
        self._keeper = keeper
        self._needs_api = needs_api
        self._reason_against = reason_against
        self._begins_now = begins_now
        self._seen: tuple[Container, ...] = ()
        self._link = Link()
        self._followed: dict[str, Container] = {}
        self._removed: set[str] = set()
        self._silent: set[str] = set()
        self._lanes: tuple[ApiLane, ...] = ()
        self._lock = threading.RLock()
        self._begun = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="look at the Engine", daemon=True)

    def begin(self) -> None:
        """Begin to look at the Engine's containers, unless that was done before."""
        with self._lock:
            if self._begun or self._stop.is_set():
                return
            self._begun = True
        logger.info("some logs are read by the Engine's API")
        self._inventory.start()
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        with self._lock:
            self._stop.set()
        if self._begun:
            self._thread.join()
            self._inventory.stop()

    def set_lanes(self, lanes: Sequence[ApiLane]) -> None:
        """Serve these lanes; those that are new hear of every container."""
        with self._lock:
            fresh = [lane for lane in lanes if lane not in self._lanes]
            self._lanes = tuple(lanes)
            for lane in fresh:
                for container in self._followed.values():
                    lane.add(self._arrival(container, lane))

    def reconsider(self) -> None:
        """Ask about each container anew: one that is no longer wanted ends here, others begin."""
        with self._lock:
            for container in self._seen:
                self._look_at(container)

    def count(self) -> int:
        """Return how many logs are followed."""
        return len(self._followed)

    def unreadable(self) -> int:
        """Return how many containers keep no log that can be read."""
        return len(self._silent)

    def error(self) -> str:
        """Say why the Engine tells nothing; empty while it does, or before it is asked."""
        return self._inventory.link().error if self._begun else ""

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                with self._lock:
                    self._look()
                    self._tidy()
            except Exception:  # the next look must come, whatever this one met
                logger.exception("fault in looking at the Engine")

    def _look(self) -> None:
        containers, link = self._inventory.containers(), self._inventory.link()
        if link.up and link.since != self._link.since:
            for follower in self._followers(self._followed):
                follower.reconnect()
        self._link = link if link.up else self._link
        if containers is self._seen:
            return
        before = {each.id: each for each in self._seen}
        self._seen = containers
        for container in containers:
            if before.pop(container.id, None) is not container:
                self._look_at(container)
        for container_id in before:
            self._vanished(container_id)

    def _look_at(self, container: Container) -> None:
        wanted = self._needs_api(container) and not self._reason_against(container)
        if container.log_driver == NONE:
            if wanted and container.id not in self._silent:
                self._silent.add(container.id)
                logger.warning("a container keeps no log: its driver is none", extra=_name(container))
        elif wanted and container.id in self._followed:
            self._followed[container.id] = container
            for lane in self._lanes:
                lane.update(container)
        elif wanted:
            self._followed[container.id] = container
            for lane in self._lanes:
                lane.add(self._arrival(container, lane))
        elif container.id in self._followed:
            self._drop(container.id, gone=False)

    def _vanished(self, container_id: str) -> None:
        self._silent.discard(container_id)
        if container_id in self._followed:
            self._removed.add(container_id)

    def _tidy(self) -> None:
        """Let go of removed containers that every sink has."""
        for container_id in list(self._removed):
            followers = self._followers([container_id])
            for follower in followers:
                follower.gone()
            if len(followers) == len(self._lanes) and all(each.drained() for each in followers):
                self._drop(container_id, gone=True)

    def _drop(self, container_id: str, *, gone: bool) -> None:
        self._followed.pop(container_id)
        self._removed.discard(container_id)
        for lane in self._lanes:
            lane.forget(container_id, gone=gone)
        if gone:
            try:
                self._keeper.forget(container_id)
            except StateError as error:
                logger.error(str(error))  # noqa: TRY400 - the sentence says it all

    def _followers(self, container_ids: Sequence[str] | Mapping[str, Container]) -> list[ApiFollower]:
        found = [lane.follower(container_id) for container_id in container_ids for lane in self._lanes]
        return [each for each in found if isinstance(each, ApiFollower)]

    def _arrival(self, container: Container, lane: ApiLane) -> ApiArrival:
        wake = partial(lane.notice, (container.id,))
        return ApiArrival(container, self._client, self._begins_now(container), wake)


def docker_root(chosen: Path | None, client: LogCalls | None, default: Path) -> Path:
    """Return the folder of Docker's data: as chosen, the default if it is there, or what the Engine says."""
    if chosen is not None or client is None or (default / "containers").exists():
        return chosen or default
    try:
        root = client.info().get("DockerRootDir")
    except EngineError as error:
        logger.warning("the Engine does not say where its data is", extra={"error": str(error)})
        return default
    return Path(root) if isinstance(root, str) and root else default


def _name(container: Container) -> dict[str, str]:
    return {"container": container.name}
