"""A container's log files in their order, as Docker renames, compresses and removes them.

moby daemon/logger/loggerutils/logfile.go rotates before a write: it closes the file, renames ``.1`` to
``.2`` and so on, then the file to ``.1`` (with ``max-file=1`` it unlinks it instead), and opens a new one.
With ``compress`` a goroutine then writes ``.1.gz`` and removes ``.1``; for a while both are there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from compose_agent.errors import ComposeAgentError
from log_forwarder.sources.generation import BLOCK_BYTES, Generation

# A folder that is rotated while it is listed is listed again; more often than this nobody rotates.
_ATTEMPTS = 5


class FirstRecord(Protocol):
    """What a chain needs to know of a log's format."""

    def first_record(self, block: bytes) -> bytes | None:
        """Return the first record in the first block of a file, None if it is not whole yet."""


class Names(Protocol):
    """Remembers what the generations of one container are called."""

    def name(
        self, fingerprint: bytes, inode: int, others: Sequence[tuple[int, str]], *, moved: bool, renewed: bool
    ) -> str:
        """Return the name of the generation with this first record; a new one is durable when this returns.

        ``others`` are inodes and names of the container's other files with the same first record, ``moved``
        says that this one may have had another inode once (it is compressed, or was there before us),
        ``renewed`` that it is to have another name than the file had before it was cut.
        """

    def between(self, before: str, after: str) -> Sequence[str]:
        """Return the names that were given between two others."""

    def known(self) -> frozenset[str]:
        """Return all names that were given and are not forgotten."""


class Chain:
    """The log files of one container, oldest first, with open descriptors.

    ``look`` is called by whoever watches, followers read ``generations``, an immutable tuple. ``version``
    grows with each change. ``missed`` counts rotations of which no file was seen, ``cuts`` how often the
    current file was truncated.
    """

    def __init__(self, path: Path, format_: FirstRecord, names: Names) -> None:
        self.path = path
        self.generations: tuple[Generation, ...] = ()
        self.version = 0
        self.missed = 0
        self.cuts = 0
        self.removed = False
        self._format = format_
        self._names = names
        self._created = 0  # files that appeared under the current name and were not opened yet
        self._lock = threading.Lock()

    def created(self) -> None:
        """Take note that a file appeared under the current name."""
        with self._lock, contextlib.suppress(OSError):
            inode = self.path.stat().st_ino
            self._created += inode not in (each.inode for each in self.generations)

    def look(self, *, thorough: bool = True) -> bool:
        """See what has changed since the last look; False when nothing has. Raises OSError.

        A look that is not thorough sees growth only, at a fraction of the price of asking by name.
        """
        with self._lock:
            current = self.generations[-1] if self.generations else None
            if not thorough and current is not None and not current.final and not self._created:
                size = current.end()
                if size >= current.size:
                    return self._grown(current, size)
            try:
                status = os.stat(self.path)  # noqa: PTH116 - runs often
            except FileNotFoundError:
                return False  # between two names, or removed for good
            if current is None or current.final or status.st_ino != current.inode:
                return self._list()
            if status.st_size < current.size:
                return self._cut(current)
            return self._grown(current, status.st_size)

    def _grown(self, current: Generation, size: int) -> bool:
        if size == current.size:
            return False
        current.size = size
        self.version += 1
        if not current.name:
            self._note(current)
        return True

    def gone(self) -> None:
        """Take note that the container's folder was removed: nothing more comes."""
        with self._lock:
            self.removed = True
            self.version += 1
            for each in self.generations:
                each.finish()
            self._note_sizes()

    def adopt(self, generation: Generation) -> None:
        """Put a generation that is kept elsewhere in front of the others."""
        with self._lock:
            self.generations = (generation, *self.generations)
            self.version += 1

    def replace(self, old: Generation, new: Generation) -> bool:
        """Put a copy in the place of a generation; False if that was let go meanwhile.

        Followers find it by its name.
        """
        with self._lock:
            if not any(each is old for each in self.generations):
                new.close()
                return False
            new.key, new.fingerprint, new.detached = old.key, old.fingerprint, old.detached
            old.finish()
            self.generations = tuple(new if each is old else each for each in self.generations)
            self.version += 1
        old.close()
        return True

    def identify(self, generation: Generation) -> str:
        """Return the generation's name, empty as long as its first record is not whole."""
        if not generation.name:
            with self._lock:
                self._identify(generation)
        return generation.name

    def missing(self, before: str, after: str) -> int:
        """Return how many generations there were between two, of which nothing is left."""
        return len(set(self._names.between(before, after)) - {each.name for each in self.generations})

    def _note(self, generation: Generation) -> None:
        """Give a name as soon as can be: then it is known that it was there, should nobody read it."""
        with contextlib.suppress(ComposeAgentError):  # a full disk: a reader tries again
            self._identify(generation)

    def _identify(self, generation: Generation) -> None:
        if generation.name or not (print_ := self._fingerprint(generation)):
            return
        generation.name = self._names.name(
            print_,
            generation.inode,
            [
                (each.inode, each.name)
                for each in self.generations
                if each is not generation and self._fingerprint(each) == print_
            ],
            moved=generation.inherited,
            renewed=generation.renewed,
        )

    def release(self, needed: Generation) -> list[str]:
        """Close what lies before ``needed`` and is removed or rotated, and return the names of that."""
        released: list[str] = []
        with self._lock:
            if not any(each is needed for each in self.generations):
                return []  # a copy has just taken its place
            while self.generations[0] is not needed:
                self.generations[0].close()
                released.append(self.generations[0].name)
                self.generations = self.generations[1:]
        return released

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            for each in self.generations:
                each.close()
            self.generations = ()

    def _cut(self, current: Generation) -> bool:
        """Begin a new generation in a file that somebody truncated.

        If its first record is still there only its end was cut off: what is written from now on is new.
        """
        before = self._fingerprint(current)
        self.cuts += 1
        current.finish()
        current.lost = True
        fresh = Generation.open(self.path)
        fresh.renewed = True
        if before and self._fingerprint(fresh) == before:
            fresh.start = fresh.size
        self.generations = (*self.generations, fresh)
        self.version += 1
        return True

    def renew(self, generation: Generation) -> Generation:
        """Give the current file a name of its own from its present end on, and return it as a new generation.

        For a file that is shorter than it once was: what is appended must not have the ids of what is gone.
        """
        with self._lock:
            generation.finish()
            generation.lost = True
            fresh = generation.again()
            at = self.generations.index(generation)
            self.generations = (*self.generations[: at + 1], fresh, *self.generations[at + 1 :])
            self.version += 1
            return fresh

    def _list(self) -> bool:
        """Open what is new in the folder.

        Docker renames upwards while we open: a file may go from a name that is still to come to one that was
        opened before, and be missed. So what was opened must be what is there afterwards, in the same order.
        """
        for _ in range(_ATTEMPTS):
            found = self._open_all()
            if found and [each.inode for each in found] == self._inodes():
                return self._take(found)
            for each in found:
                each.close()
        return False

    def _inodes(self) -> list[int]:
        """Return the inodes of the files there are, oldest first; none while one of them is being renamed."""
        try:
            return [os.stat(path).st_ino for path in chain_paths(self.path)]  # noqa: PTH116
        except FileNotFoundError:
            return []

    def _open_all(self) -> list[Generation]:
        """Return the files there are, oldest first; one that is renamed meanwhile comes once."""
        found: dict[int, Generation] = {}
        try:
            for path in chain_paths(self.path):
                with contextlib.suppress(FileNotFoundError):
                    generation = Generation.open(path)
                    if found.setdefault(generation.inode, generation) is not generation:
                        generation.close()
        except OSError:
            for each in found.values():
                each.close()
            raise
        return list(found.values())

    def _take(self, found: list[Generation]) -> bool:
        """Add the files behind the newest one that is known."""
        known = {each.inode for each in self.generations if not each.lost and not each.copied}
        by_inode = max((at for at, each in enumerate(found) if each.inode in known), default=-1)
        newest = max(by_inode, self._newest_compressed(found))
        fresh = found[newest + 1 :]
        for each in found[: newest + 1]:
            each.close()
        if self.generations and newest < 0:
            # Nothing that is known is there any more: what was between was written and removed unseen.
            self.missed += max(0, self._created - len(fresh))
        self._created = 0
        earlier = frozenset[str]() if self.generations else self._names.known()
        for each in fresh:
            each.inherited = each.compressed or not self.generations
        for each in (*self.generations, *fresh[:-1]):
            each.finish()
        self.generations = (*self.generations, *fresh)
        self._note_sizes()
        self.version += 1
        for each in self.generations:  # in their order, which is that of their names
            self._note(each)
        if earlier.isdisjoint(each.name for each in self.generations):
            # What an earlier life saw last is gone, and so may be what followed it.
            self.generations[0].detached = bool(earlier)
        return bool(fresh)

    def _note_sizes(self) -> None:
        """Take the final sizes of what was renamed since the last look."""
        for each in self.generations:
            if each.final and not each.compressed and not each.start and not each.lost:
                each.size = max(each.size, each.end())

    def _newest_compressed(self, found: list[Generation]) -> int:
        """Return the place of the newest file that is a compressed form of one we know, -1 if none is."""
        prints = {self._fingerprint(each) for each in self.generations} - {b""}
        for at in reversed(range(len(found))):
            if found[at].compressed and prints and self._fingerprint(found[at]) in prints:
                return at
        return -1

    def _fingerprint(self, generation: Generation) -> bytes:
        if not generation.fingerprint and not generation.copied:
            reader = generation.reader()
            try:
                block = reader.read(0, BLOCK_BYTES)
            except OSError:
                block = b""  # damaged, or still being compressed
            finally:
                reader.close()
            first = self._format.first_record(block)
            if first is None and len(block) == BLOCK_BYTES:
                first = block
            if first is not None:
                generation.fingerprint = hashlib.blake2b(first, digest_size=16).digest()
        return generation.fingerprint


def chain_paths(path: Path) -> list[Path]:
    """Return the log files beside ``path``, oldest first, and ``path`` itself last.

    A compressed file counts only when its original is gone: until then it is being written.
    """
    pattern = re.compile(re.escape(path.name) + r"\.([0-9]+)(\.gz)?")
    found: dict[int, Path] = {}
    for name in sorted(os.listdir(path.parent)):  # noqa: PTH208 - names, not paths
        if (match := pattern.fullmatch(name)) and (int(match[1]) not in found or not match[2]):
            found[int(match[1])] = path.parent / name
    return [found[number] for number in sorted(found, reverse=True)] + [path]
