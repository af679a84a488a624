"""Which files Docker is about to remove before every sink has them, and what is done about it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from compose_agent.dockerd.model import Container
from compose_agent.errors import ComposeAgentError
from log_forwarder.event import Mark
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.generation import Generation
from log_forwarder.spool import Spool

logger = logging.getLogger(__name__)

# Rotations come seconds apart even under heavy load; a file is in danger from one to the next.
ROUND_SECONDS = 0.4
# While no log has files but the one that Docker writes to. The watch tells of new files; this is for where it
# cannot, and well within the patience with a reader.
_CALM_SECONDS = 2.0
# A removed container's last lines are usually confirmed within a second; only later are they copied.
GRACE_SECONDS = 1.0
# A healthy reader has a rotated file confirmed within a second or two. Where a sink is held up, that is not
# waited for: each file that lies there uncopied is lost if this process is killed, and late to come back.
PATIENCE_SECONDS = 3.0
# What removed files may hold of the disk when they cannot be copied, until the oldest is given up.
HELD_BYTES = 64 * 1024 * 1024


class Followed(Protocol):
    """One container's log, as the rescuer sees it."""

    container: Container
    chain: Chain
    removed_at: float  # monotonic; 0 while the container is there

    def needs(self) -> Mark | None:
        """Return from where on some sink needs the log; no generation means all, None that none does."""

    def is_held_up(self, now: float) -> bool:
        """Tell whether some sink does not take its lines (monotonic)."""


@dataclass(frozen=True, slots=True)
class Danger:
    """A file that is needed from ``start`` on; ``removed`` if Docker has unlinked it already."""

    generation: Generation
    start: int
    removed: bool


def max_files(container: Container) -> int:
    """Return how many files Docker has of a container's log, by its log options or the driver's default."""
    default = 5 if container.log_driver == "local" else 1
    try:
        return max(1, int(container.log_options.get("max-file", default)))
    except ValueError:
        return default


def dangers(
    chain: Chain, files: int, needed: Mark, now: float, patience: float = PATIENCE_SECONDS
) -> Iterator[Danger]:
    """Yield the files that are needed and removed, or about to be, oldest first.

    About to be: the next rotation removes it, or a reader has been behind for longer than ``patience``
    seconds, so that a kill now and some rotations before the next start would.
    """
    generations = chain.generations
    names = [each.name for each in generations]
    at = names.index(needed.generation) if needed.generation and needed.generation in names else 0
    for index, each in enumerate(generations[at:], start=at):
        start = needed.offset if needed.generation and each.name == needed.generation else each.start
        last_of_docker = len(generations) - 1 - index >= files - 1
        if each.copied or each.lost or not each.is_open:
            continue
        removed = each.links() == 0
        behind = each.final and now - each.final_at > patience
        endangered = (removed or (last_of_docker and each.final) or behind) and (
            each.compressed or start < each.end()
        )
        # No follower may have come so far; the copy is entered under the name.
        if endangered and chain.identify(each):
            yield Danger(each, start, removed)


class Rescuer:
    """Copies what is in danger into the spool, or gives up what does not fit, in a thread of its own."""

    def __init__(self, spool: Spool, followed: Callable[[], Iterable[Followed]]) -> None:
        self._spool = spool
        self._followed = followed
        self._stop = threading.Event()
        self._stirred = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rescue logs", daemon=True)

    def start(self) -> None:
        """Begin to watch over the files."""
        self._thread.start()

    def stir(self) -> None:
        """Look soon: Docker has begun another file, or a container was removed."""
        self._stirred.set()

    def stop(self) -> None:
        """End after one more round, so that a stop leaves nothing in danger."""
        self._stop.set()
        self._stirred.set()
        self._thread.join()
        with contextlib.suppress(ComposeAgentError):  # said where it was met; a stop goes on
            self._round(grace=0.0)

    def _run(self) -> None:
        # At once: much may have been rotated since the last run ended.
        while True:
            self._stirred.clear()
            calm = False
            try:
                calm = not self._round(GRACE_SECONDS)
            except Exception:  # the next round must come, whatever this one met
                logger.exception("fault in keeping logs")
            if self._stop.wait(ROUND_SECONDS):
                break
            if calm:
                self._stirred.wait(_CALM_SECONDS - ROUND_SECONDS)

    def _round(self, grace: float) -> bool:
        """Save what is in danger; tell whether anything may come to be."""
        held = 0
        at_stake = False
        for log in self._followed():
            chain = log.chain
            if len(chain.generations) < 2 and not log.removed_at:
                continue
            at_stake = True
            if log.removed_at and time.monotonic() - log.removed_at < grace:
                continue
            if (needed := log.needs()) is not None:
                held += self._save(log, needed, held)
        return at_stake

    def _save(self, log: Followed, needed: Mark, held: int) -> int:
        """Copy what is in danger; return the bytes of removed files that only a descriptor holds."""
        holding, now = 0, time.monotonic()
        patience = 0.0 if log.is_held_up(now) else PATIENCE_SECONDS
        for each in dangers(log.chain, max_files(log.container), needed, now, patience):
            if self._spool.rescue(log.container, log.chain, each.generation, each.start):
                continue
            if each.removed and held + holding + each.generation.end() - each.start > HELD_BYTES:
                each.generation.lost = True
                logger.error(
                    "lines are lost: Docker removed them and the spool is full",
                    extra={"container": log.container.name, "bytes": each.generation.end() - each.start},
                )
            elif each.removed:
                holding += each.generation.end() - each.start
        return holding
