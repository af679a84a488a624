"""The segments of one spool in their order: appended to at the end, removed from the front."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose_agent.tracing import segments
from compose_agent.tracing.records import Group, Header
from compose_agent.tracing.recovery import Found, open_after
from compose_agent.tracing.segments import Segment


@dataclass(frozen=True, slots=True)
class Place:
    """Between two groups: in which segment, where in its file, and how many spans come before."""

    number: int
    offset: int
    before: int


class Chain:
    """Begins a segment of its own after those that were ``found``; raises OSError. Not thread-safe.

    ``marks`` are those that were appended last, by name. A segment takes ``segment_bytes``.
    """

    def __init__(
        self, folder: Path, resource: Mapping[str, Any], segment_bytes: int, found: Found, base: int
    ) -> None:
        self._folder = folder
        self._resource = dict(resource)
        self._segment_bytes = segment_bytes
        self._begun = dict(found.begun)
        self._file = -1
        self.marks = dict(found.marks)
        self.segments = found.segments
        self.dirty = False
        self._begin(max(base, self.written))

    @property
    def written(self) -> int:
        """How many spans were ever appended."""
        return self.segments[-1].end if self.segments else 0

    def append(self, group: Group) -> None:
        """Append a group; raises OSError, and ValueError and its like for what has no form."""
        data = segments.frame(group)
        if len(data) > segments.MOST_FRAME_BYTES:
            raise TooLarge
        last = self.segments[-1]
        if last.size + len(data) > self._segment_bytes and last.count:
            last = self._begin(self.written)
        _write(self._file, data, last.size)
        last.size, last.count, self.dirty = last.size + len(data), last.count + len(group.spans), True
        open_after(self._begun, group.begun, group.spans)
        self.marks.update(group.marks)

    def place(self, settled: int) -> Place:
        """Return where the spans begin that come after the first ``settled``."""
        for segment in self.segments:
            if segment.end > settled:
                return _within(segment, settled)
        last = self.segments[-1]
        return Place(last.number, last.size, last.end)

    def segment(self, number: int) -> Segment | None:
        """Return the segment of this number, None if it is gone."""
        return next((each for each in self.segments if each.number == number), None)

    def following(self, number: int) -> Segment | None:
        """Return the segment after that of this number."""
        return next((each for each in self.segments if each.number > number), None)

    def remove_first(self) -> None:
        """Remove the oldest segment, which is not the one that is written."""
        with suppress(OSError):  # a file that cannot be removed is found again at the next start
            self.segments[0].path.unlink()
        del self.segments[0]

    def sync(self) -> None:
        """Have everything on the disk; raises OSError."""
        if self.dirty:
            os.fdatasync(self._file)
            self.dirty = False

    def close(self) -> None:
        """Close the file that is written."""
        os.close(self._file)

    def _begin(self, base: int) -> Segment:
        number = self.segments[-1].number + 1 if self.segments else 1
        header = Header(segments.VERSION, self._resource, base, list(self._begun.values()), self.marks)
        data = segments.frame(header)
        if len(data) > segments.MOST_FRAME_BYTES:  # nobody has so much under way; without it, it can be read
            self._begun.clear()
            header = Header(segments.VERSION, self._resource, base, [], self.marks)
            data = segments.frame(header)
        path = segments.path_of(self._folder, number)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write(file, data, 0)
        except OSError:
            os.close(file)
            with suppress(OSError):
                path.unlink()
            raise
        if self._file >= 0:
            with suppress(OSError):
                self.sync()
            os.close(self._file)
        self._file = file
        self.segments.append(Segment(number, path, header, len(data), 0, len(data)))
        return self.segments[-1]


class TooLarge(ValueError):
    """A group is larger than any may be."""


def _within(segment: Segment, settled: int) -> Place:
    before, offset = segment.base, segment.first
    for group, end in segments.read(segment, segment.first) if before < settled else ():
        before, offset = before + len(group.spans), end
        if before >= settled:
            break
    return Place(segment.number, offset, before)


def _write(file: int, data: bytes, offset: int) -> None:
    """Write all of it at an offset, or raise OSError and leave nothing behind that counts."""
    view = memoryview(data)
    at = offset
    try:
        while view:
            written = os.pwrite(file, view, at)
            view, at = view[written:], at + written
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, offset)
        raise
