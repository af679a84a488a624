"""One container's log as the watch holds it: its chain of files, and what sinks still need of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compose_agent.dockerd.model import Container
from log_forwarder.event import Mark
from log_forwarder.keeper import Keeper
from log_forwarder.lane import Arrival, Lane
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.follower import Format
from log_forwarder.sources.jsonfile import JsonFile
from log_forwarder.sources.local import Local
from log_forwarder.spool import Spool
from log_forwarder.store import GenerationNames, Store

logger = logging.getLogger(__name__)

# A container is silent that has said nothing for so long.
_SILENT_SECONDS = 30.0
# A sink that is well confirms lines within a fraction of this.
HELD_UP_SECONDS = 1.0

FORMATS: dict[str, Format] = {"json-file": JsonFile(), "local": Local()}
# What Docker writes when nobody has chosen a driver, and where the driver is not known.
_DEFAULT_DRIVER = "json-file"


def has_files(container: Container) -> bool:
    """Tell whether a container's log driver leaves files that are read in place."""
    return (container.log_driver or _DEFAULT_DRIVER) in FORMATS


def format_of(container: Container) -> Format:
    """Return the format of a container's files; KeyError if its driver leaves none."""
    return FORMATS[container.log_driver or _DEFAULT_DRIVER]


@dataclass(eq=False, slots=True)
class FollowedLog:
    """A container's log in ``folder``; ``removed_at`` is monotonic, 0 while the container is there."""

    container: Container
    folder: Path
    chain: Chain
    names: GenerationNames
    format: Format
    from_now: bool
    lanes: Sequence[Lane] = ()
    removed_at: float = 0.0
    error: str = ""
    _heard: float = field(default_factory=time.monotonic)

    @classmethod
    def make(cls, container: Container, folder: Path, store: Store, *, from_now: bool) -> FollowedLog:
        """Return the log of a container, not opened yet; raises StateError."""
        format_ = format_of(container)
        names = store.names(container.id)
        chain = Chain(folder / format_.file_name.format(id=container.id), format_, names)
        return cls(container, folder, chain, names, format_, from_now)

    def arrival(self) -> Arrival:
        """Return what a lane is told of it."""
        return Arrival(self.container, self.chain, self.format, self.from_now)

    def look(self, *, thorough: bool = True) -> bool:
        """Tell whether there is something new; a failure is said once and kept in ``error``."""
        try:
            news = self.chain.look(thorough=thorough)
        except OSError as error:
            if not self.error:
                logger.warning(
                    "a log cannot be opened", extra={"container": self.container.name, "error": str(error)}
                )
            self.error = f"the log of {self.container.name} cannot be opened ({error.strerror})"
            return False
        self.error = ""
        if news:
            self._heard = time.monotonic()
        return news

    def is_silent(self, now: float) -> bool:
        """Tell whether it has been silent for so long that it is looked at more rarely."""
        return now - self._heard > _SILENT_SECONDS

    def adopt(self, spool: Spool) -> None:
        """Put the copies of what Docker has no more in front of what it has.

        Of what it still has the copies stay where they are, until no sink needs them: it may be gone soon.
        """
        there = {self.chain.identify(each) for each in self.chain.generations}
        gone = [name for name in self.names.in_order(spool.of(self.container.id)) if name not in there]
        for name in reversed(gone):
            if (kept := spool.open(self.container.id, name)) is not None:
                self.chain.adopt(kept)

    def end(self) -> None:
        """Take note that the container was removed."""
        self.chain.gone()
        self.removed_at = time.monotonic()

    def needs(self) -> Mark | None:
        """Return from where on some lane needs this log, None without any lane."""
        marks = [lane.needs(self.container.id) for lane in self.lanes]
        if not marks:
            return None
        names = [each.name for each in self.chain.generations]
        return min(marks, key=lambda mark: (_index(names, mark.generation), mark.offset))

    def is_held_up(self, now: float) -> bool:
        """Tell whether a sink has had lines of it for longer than one that is well takes (monotonic)."""
        followers = [lane.follower(self.container.id) for lane in self.lanes]
        return any(each is not None and each.oldest_age(now) > HELD_UP_SECONDS for each in followers)

    def release(self, spool: Spool, keeper: Keeper) -> None:
        """Close the files before the oldest one that a lane needs, and remove their copies; StateError."""
        if len(self.chain.generations) < 2 or not (mark := self.needs()) or not mark.generation:
            return
        needed = next((each for each in self.chain.generations if each.name == mark.generation), None)
        if needed is None or needed is self.chain.generations[0]:
            return
        # A position on disk must not be in a file whose name is forgotten.
        keeper.flush()
        let_go = self.chain.release(needed)
        left = [each.name for each in self.chain.generations]
        # Of files that were all read, an earlier life has let go, and this one has named them anew.
        self.names.forget_before(needed.name, let_go)
        for name in spool.of(self.container.id):
            if name not in left:
                spool.remove(self.container.id, name)

    def is_read(self) -> bool:
        """Tell whether every lane has all of a log whose container is gone."""
        followers = [lane.follower(self.container.id) for lane in self.lanes]
        return all(follower is not None and follower.drained() for follower in followers)


def _index(names: Sequence[str], name: str) -> int:
    return names.index(name) if name and name in names else -1
