"""One sink and everything on the way to it: followers of containers, an outbox, a courier."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from compose_agent.dockerd.model import Container
from compose_agent.errors import ComposeAgentError
from log_forwarder.couriers import courier_for
from log_forwarder.couriers.state import Health
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Batch, Mark
from log_forwarder.keeper import SinkBooks
from log_forwarder.moments import unix_seconds
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Sink
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.cursor import Losses
from log_forwarder.sources.follower import Books, Follower, Format
from log_forwarder.transforms.pipeline import Pipeline

logger = logging.getLogger(__name__)

# How long a reader waits for room, or for news while something is held back, before it looks again.
_WAIT_SECONDS = 0.5
# After a file or the state could not be read; the next look at the file may find it mended.
_RETRY_SECONDS = 2.0
# What a courier that was told to give up may still take to notice.
_ABANDON_SECONDS = 3.0


class Source(Protocol):
    """Reads one container's log for one lane: a follower of files, or of the Engine's API."""

    container: Container

    @property
    def losses(self) -> Losses:
        """What could not be read."""

    def read(self) -> Batch | None:
        """Return the next batch; None when there is nothing more at the moment."""

    def holds(self) -> bool:
        """Tell whether lines are held back, which come out when nothing follows for a while."""

    def settled(self, batch: Batch) -> None:
        """Take note of a settled batch."""

    def needs(self) -> Mark:
        """Return from where on a restart would read."""

    def unsettled(self) -> int:
        """Return how many batches are on their way."""

    def oldest_age(self, now: float) -> float:
        """Return for how many seconds the oldest batch has been on its way."""

    def behind(self) -> int:
        """Return the bytes of source that are known and not read yet."""

    def newest(self) -> str:
        """Return Docker's time of the last record that was read; empty before the first."""

    def drained(self) -> bool:
        """Tell whether a removed container's log is read and settled to its end."""

    def close(self) -> None:
        """Read nothing more."""


class Newcomer(Protocol):
    """A container that a lane is to follow from now on; a frozen dataclass."""

    @property
    def container(self) -> Container:
        """The container."""

    def follow(self, books: Books, pipeline: Pipeline | None) -> Source:
        """Begin to read where the books say; raises OSError or ComposeAgentError."""

    def changed(self, container: Container) -> Newcomer:
        """Return the same with what is known of the container now."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A container that a lane is to follow from now on."""

    container: Container
    chain: Chain
    format: Format
    from_now: bool

    def follow(self, books: Books, pipeline: Pipeline | None) -> Follower:
        """Return a follower of the files."""
        return Follower(
            self.container, self.chain, self.format, books, pipeline=pipeline, from_now=self.from_now
        )

    def changed(self, container: Container) -> Arrival:
        """Return the same with what is known of the container now."""
        return replace(self, container=container)


@dataclass(slots=True)
class Standing:
    """How far a lane is with one container.

    ``behind_seconds`` is at least the age of the oldest line that is not read: that of the last one that was,
    or for how long there has been something to read, whichever is less.
    """

    container: Container
    behind_bytes: int
    behind_seconds: float
    unsettled: int
    oldest_seconds: float


class Lane:
    """Reads for one sink in one thread and delivers in another.

    A slow sink stalls its own lane only: each lane has its own positions in the same files.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        outbox: Outbox,
        *,
        books: SinkBooks,
        pipelines: Callable[[Container, Outbox], Pipeline | None] = lambda _container, _outbox: None,
        letters: DeadLetters,
    ) -> None:
        self.name = name
        self.outbox = outbox
        self.errors: dict[str, str] = {}  # why logs cannot be read, by container
        self._lost = Losses()  # of containers that are gone
        self._retries: dict[str, float] = {}
        self._postponed: list[tuple[float, Newcomer]] = []
        self._books = books
        self._pipelines = pipelines
        self._holding: set[str] = set()  # containers of which transforms hold lines back
        self._followers: dict[str, Source] = {}
        self._leaving: dict[str, Source] = {}  # let go of while lines were on their way
        self._arrivals: deque[Newcomer] = deque()
        self._ready: dict[str, None] = {}
        self._noticed: dict[str, float] = {}  # since when (monotonic) there is something to read
        self._news = threading.Condition()
        self._stop_reading = threading.Event()
        self._stop_sending = threading.Event()
        self._abandon = threading.Event()
        self._courier = courier_for(name, sink, outbox, letters, self._abandon)
        self._reader = threading.Thread(target=self._read, name=f"read {name}", daemon=True)
        self._sender = threading.Thread(
            target=self._courier.run, args=(self._stop_sending,), name=f"send {name}", daemon=True
        )

    @property
    def health(self) -> Health:
        """How delivery goes."""
        return self._courier.health

    def start(self) -> None:
        """Begin to read and deliver."""
        self._reader.start()
        self._sender.start()

    def stop(self, drain_seconds: float) -> None:
        """Stop reading, deliver what is read within ``drain_seconds``, and leave the rest in the files."""
        self._stop_reading.set()
        self.notice(())
        self._reader.join()
        self.outbox.close()
        self._stop_sending.set()
        self._sender.join(drain_seconds)
        self._abandon.set()
        self._sender.join(_ABANDON_SECONDS)
        for follower in self._followers.values():
            follower.close()

    def add(self, arrival: Newcomer) -> None:
        """Follow a container."""
        with self._news:
            self._arrivals.append(arrival)
            self._news.notify()

    def update(self, container: Container) -> None:
        """Take what changed about a container, for the lines that are read from now on."""
        with self._news:
            self._arrivals = deque(_changed(each, container) for each in self._arrivals)
            self._postponed = [(at, _changed(each, container)) for at, each in self._postponed]
            if follower := self._followers.get(container.id):
                follower.container = container

    def notice(self, container_ids: Iterable[str]) -> None:
        """Look at these containers' logs: something is new in them."""
        now = time.monotonic()
        with self._news:
            for container_id in container_ids:
                self._ready[container_id] = None
                self._noticed.setdefault(container_id, now)
            self._news.notify()

    def follower(self, container_id: str) -> Source | None:
        """Return the follower of a container, if the lane has begun with it."""
        return self._followers.get(container_id)

    def needs(self, container_id: str) -> Mark:
        """Return from where on the lane needs a container's log; no generation means all of it."""
        if follower := self._followers.get(container_id):
            return follower.needs()
        position = self._books.of(container_id).position
        return position.mark if position and not position.held else Mark("", 0)

    def forget(self, container_id: str, *, gone: bool) -> None:
        """Let go of a container; of one that is not gone the position is remembered."""
        with self._news:
            self._arrivals = deque(each for each in self._arrivals if each.container.id != container_id)
            self._postponed = [
                (at, each) for at, each in self._postponed if each.container.id != container_id
            ]
            follower = self._followers.pop(container_id, None)
            if gone:
                self._books.forget(container_id)
            self.errors.pop(container_id, None)
            self._leaving = {key: each for key, each in self._leaving.items() if each.unsettled()}
            if follower:
                self._lost = _sum(self._lost, follower.losses)
                self._leaving[container_id] = follower
        if follower:
            follower.close()

    def losses(self) -> Losses:
        """Return what could not be read since the start, of all containers together."""
        with self._news:
            total = self._lost
            for follower in self._followers.values():
                total = _sum(total, follower.losses)
            return total

    def standings(self) -> list[Standing]:
        """Return how far the lane is with each container."""
        return [self._standing(container_id, each) for container_id, each in list(self._followers.items())]

    def _standing(self, container_id: str, source: Source) -> Standing:
        now = time.monotonic()
        behind, lag = source.behind(), 0.0
        if behind:
            lag = max(0.0, now - self._noticed.get(container_id, now))
            if newest := unix_seconds(source.newest()):
                lag = max(0.0, min(lag, time.time() - newest))
        return Standing(source.container, behind, lag, source.unsettled(), source.oldest_age(now))

    def _read(self) -> None:
        while not self._stop_reading.is_set():
            if self._books.late():
                self._stop_reading.wait(_WAIT_SECONDS)
                continue
            for container_id in self._take_ready():
                try:
                    self._read_from(container_id)
                except (OSError, ComposeAgentError) as error:
                    self._failed(container_id, error)
                except Exception as error:  # one log must not end the reading of all others
                    logger.exception("fault in reading", extra={"container": container_id[:12]})
                    self._failed(container_id, error)
                if self._stop_reading.is_set():
                    break

    def _take_ready(self) -> list[str]:
        with self._news:
            due_unasked = self._holding or self._postponed or self._retries
            self._news.wait_for(
                lambda: self._ready or self._arrivals or self._stop_reading.is_set(),
                _WAIT_SECONDS if due_unasked else None,
            )
            ready, self._ready = list(self._ready), {}
            arrivals, self._arrivals = list(self._arrivals), deque()
            ready += [each for each in self._holding if each not in ready]
            now = time.monotonic()
            arrivals += [each for at, each in self._postponed if at <= now]
            self._postponed = [(at, each) for at, each in self._postponed if at > now]
            for container_id in [each for each, at in self._retries.items() if at <= now]:
                del self._retries[container_id]
                ready.append(container_id)
        return [*ready, *(arrival.container.id for arrival in arrivals if self._begin(arrival))]

    def _begin(self, arrival: Newcomer) -> bool:
        container = arrival.container
        before = self._leaving.get(container.id)
        if before and before.unsettled():
            # Only then it is known where to go on; until then the same lines would be read twice.
            self._postpone(arrival, _WAIT_SECONDS)
            return False
        self._leaving.pop(container.id, None)
        try:
            follower = arrival.follow(self._books.of(container.id), self._pipelines(container, self.outbox))
        except Exception as error:  # noqa: BLE001 - one log must not end the reading of all others
            self._failed(container.id, error)
            self._postpone(arrival, _RETRY_SECONDS)
            return False
        with self._news:
            self._followers[container.id] = follower
            self._noticed.setdefault(container.id, time.monotonic())
        return True

    def _postpone(self, arrival: Newcomer, seconds: float) -> None:
        with self._news:
            self._postponed.append((time.monotonic() + seconds, arrival))

    def _read_from(self, container_id: str) -> None:
        """Take one batch, so that all containers have their turn."""
        follower = self._followers.get(container_id)
        batch = follower.read() if follower else None
        if not follower or not follower.behind():
            self._noticed.pop(container_id, None)
        self.errors.pop(container_id, None)
        if follower and follower.holds():
            self._holding.add(container_id)
        else:
            self._holding.discard(container_id)
        if batch is not None and self._put(batch):
            self.notice((container_id,))

    def _put(self, batch: Batch) -> bool:
        while not self.outbox.put(batch, _WAIT_SECONDS):
            if self._stop_reading.is_set():
                return False
        return True

    def _failed(self, container_id: str, error: Exception) -> None:
        if container_id not in self.errors:
            logger.error("logs cannot be read", extra={"container": container_id[:12], "error": str(error)})
        self.errors[container_id] = str(error)
        self._retries[container_id] = time.monotonic() + _RETRY_SECONDS


def _changed(arrival: Newcomer, container: Container) -> Newcomer:
    return arrival.changed(container) if arrival.container.id == container.id else arrival


def _sum(one: Losses, other: Losses) -> Losses:
    return Losses(one.corrupt + other.corrupt, one.gap_bytes + other.gap_bytes, one.gaps + other.gaps)
