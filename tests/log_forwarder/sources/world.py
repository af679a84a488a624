"""A container's log, a follower of it, and a sink that confirms late: a forwarder as one log sees it."""

from __future__ import annotations

import random
from pathlib import Path

from log_forwarder.event import Batch, Mark, Position
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.follower import Follower
from log_forwarder.sources.jsonfile import JsonFile
from log_forwarder.store import Store
from tests.log_forwarder.dockerlog import DockerLog
from tests.log_forwarder.making import ID, container


class World:
    """Holds what outlives a kill (files, state, kept position) and what does not (chain, follower)."""

    def __init__(self, folder: Path, *, max_file: int = 50, compressed: bool = False) -> None:
        self.log = DockerLog(folder / "c", max_file=max_file, compressed=compressed)
        self.store = Store(folder / "state")
        self.kept: Position | None = None
        self.reserved: Mark | None = None
        self.runs: list[list[tuple[str, str, str]]] = []  # (id, stream, text) of each run, as delivered
        self.done: set[str] = set()  # ids before the kept position
        self.waiting: list[Batch] = []
        self.chain: Chain
        self.follower: Follower

    def start(self, *, from_now: bool = False) -> None:
        """Begin a run, as after a start of the program."""
        self.chain = Chain(self.log.path, JsonFile(), self.store.names(ID))
        self.chain.look()
        self.waiting = []
        self.runs.append([])
        self.follower = Follower(
            container(),
            self.chain,
            JsonFile(),
            _Books(self),
            from_now=from_now,
        )

    def kill(self) -> None:
        """Lose everything that is only in memory."""
        self.follower.close()
        self.chain.close()

    def read(self) -> bool:
        if (batch := self.follower.read()) is None:
            return False
        self.waiting.append(batch)
        delivered = [(event.id, event.stream, event.log) for event in batch.events]
        again = {id_ for id_, _, _ in delivered} & self.done
        assert not again, "lines before the kept position came twice"
        self.runs[-1] += delivered
        return True

    def settle(self, at: int = 0) -> None:
        """Confirm one of the batches on their way."""
        batch = self.waiting[at]
        batch.size = -1  # a mark that it is settled
        self.follower.settled(batch)
        while self.waiting and self.waiting[0].size < 0:
            self.done.update(event.id for event in self.waiting.pop(0).events)

    def settle_any(self, dice: random.Random) -> None:
        open_ = [at for at, batch in enumerate(self.waiting) if batch.size >= 0]
        if open_:
            self.settle(dice.choice(open_))

    def drain(self) -> None:
        """Look, read and settle until there is nothing more."""
        while self.chain.look() | self.read():
            pass
        while self.waiting:
            self.settle()

    def remove(self) -> None:
        """Remove the container, and read what it left."""
        self.log.crash()
        self.log.remove()
        self.chain.gone()
        self.drain()

    def texts(self) -> list[str]:
        """Return what came in all runs."""
        return [text for run in self.runs for _, _, text in run]


class _Books:
    """What is remembered of the log through a kill."""

    def __init__(self, world: World) -> None:
        self.position = world.kept
        self.reserved = world.reserved
        self._world = world

    def keep(self, position: Position) -> None:
        self._world.kept = position

    def reserve(self, mark: Mark) -> None:
        self._world.reserved = mark
