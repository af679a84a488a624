"""A place in a container's chain of files: going to it, reading from it, and going on to the next file."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass

from log_forwarder.event import Mark
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.generation import BLOCK_BYTES, Damaged, Generation, Reader

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Losses:
    """What of a container's log could not be read: places that are damaged, bytes and files that are gone."""

    corrupt: int = 0
    gap_bytes: int = 0
    gaps: int = 0


class Cursor:
    """Where one follower is in a chain; ``generation`` is None before the first file.

    What is found to be missing on the way is counted in ``losses``. One thread moves it.
    """

    def __init__(self, chain: Chain, container_name: str) -> None:
        self.chain = chain
        self.generation: Generation | None = None
        self.offset = 0
        self.losses = Losses()
        self._container_name = container_name
        self._reader: Reader | None = None
        self._missed = chain.missed
        self._damaged: Generation | None = None

    def place(self, mark: Mark) -> tuple[int, int]:
        """Return what marks are compared by: a place that is not known comes before all others."""
        names = [each.name for each in self.chain.generations]
        known = mark.generation and mark.generation in names
        return (names.index(mark.generation) if known else -1), mark.offset

    def block(self) -> bytes:
        """Return the next bytes; nothing at the end, and of what is lost or damaged. Raises OSError."""
        generation = self.generation
        if generation is None or generation.lost or self._reader is None:
            return b""
        try:
            return self._reader.read(self.offset, BLOCK_BYTES)
        except Damaged:
            if generation is not self._damaged:
                self._damaged = generation
                self.losses.corrupt += 1
                self.losses.gaps += 1
            return b""

    def last_block(self) -> tuple[int, bytes]:
        """Return the last bytes of the file as it is now, and where they begin. Raises OSError."""
        assert self.generation is not None  # noqa: S101 - whoever asks has entered a file
        start = max(0, self.generation.size - BLOCK_BYTES)
        return start, self._reader.read(start, BLOCK_BYTES) if self._reader else b""

    def left(self) -> int:
        """Return the bytes that are known and not read yet."""
        left, passed = 0, self.generation is None
        for each in self.chain.generations:
            if self.generation is not None and same(each, self.generation):
                left, passed = max(0, each.size - self.offset), True
            elif passed:
                left += each.size - each.start
        return left

    def at_last(self) -> bool:
        """Tell whether there is no file behind this one."""
        generations = self.chain.generations
        return self.generation is None or (bool(generations) and same(self.generation, generations[-1]))

    def enter(self, generation: Generation | None) -> bool:
        """Go to the beginning of a file; False if there is none."""
        if generation is None:
            return False
        self.leave()
        self.generation = generation
        self._reader = generation.reader()
        self.offset = generation.start
        return True

    def enter_oldest(self) -> bool:
        """Go to the beginning of everything; False if there is nothing yet."""
        return self.enter(self.chain.generations[0] if self.chain.generations else None)

    def enter_at(self, mark: Mark) -> bool:
        """Go to a place; False if its file is gone. Of a file that is shorter now, what comes is new."""
        for generation in self.chain.generations:
            if mark.generation and generation.name == mark.generation:
                break
        else:
            return False
        if not generation.compressed and mark.offset > generation.end():
            self.losses.gaps += 1
            self.enter(self.chain.renew(generation))
        else:
            self.enter(generation)
            # A copy begins where every sink had it; what is on disk of that may be a moment older.
            self.offset = max(mark.offset, generation.start)
        return True

    def leave(self) -> None:
        """Let go of the file."""
        if self._reader:
            self._reader.close()
            self._reader = None

    def advance(self) -> bool:
        """Go to the file after one that is read to its end; False if there is none yet."""
        generation = self.generation
        assert generation is not None  # noqa: S101 - it was read to its end
        self.losses.gaps += self.chain.missed - self._missed
        self._missed = self.chain.missed
        if generation.lost and generation.size > self.offset:
            self.losses.gaps += 1
            self.losses.gap_bytes += generation.size - self.offset
            self.offset = generation.size
        generations = self.chain.generations
        at = next((at for at, each in enumerate(generations) if same(each, generation)), None)
        if at is None:
            return self.enter_oldest()
        if generations[at] is not generation:  # a copy took its place
            offset = self.offset
            self.enter(generations[at])
            self.offset = offset
            return True
        if at + 1 == len(generations):
            return False
        following = generations[at + 1]
        missing = self.chain.missing(generation.name, self.chain.identify(following))
        if missing or following.detached:
            self.note_gaps(max(1, missing))
        return self.enter(following)

    def note_gaps(self, count: int) -> None:
        """Count files that are gone, and say so."""
        self.losses.gaps += count
        logger.error(
            "lines are lost: Docker removed files before they were read",
            extra={"container": self._container_name, "files": count},
        )


def same(one: Generation, other: Generation) -> bool:
    """Tell whether both are the same generation, maybe one a copy of the other."""
    return one is other or (bool(one.name) and one.name == other.name)


def end_of(generation: Generation) -> int:
    """Return an offset behind everything in a file."""
    return sys.maxsize if generation.compressed else generation.end()
