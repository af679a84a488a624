"""Events in a file of this host, as NDJSON."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from compose_agent.config import kinds
from log_forwarder.event import Batch
from log_forwarder.sinks.contract import Answer, Entry, ReadBack, SinkContext, SinkKind, SinkUnavailable
from log_forwarder.sinks.ndjson import LineEncoder, event_id
from log_forwarder.sinks.rotated import Busy, Limits, RotatedFile
from log_forwarder.sinks.word import SinkWord
from log_forwarder.sinks.written import written_texts

logger = logging.getLogger(__name__)

# How much of what was written last may be unconfirmed, in queues: a record with its metadata is at most eight
# times as long here, and reading stops when positions are not written for much longer than a disk takes.
LOOK_BACK_QUEUES = 8
# What was found is kept for so long after it was of use: containers begin again one after the other.
_KEEP_SECONDS = 60.0
DEFAULT_BYTES = 100_000_000
DEFAULT_FILES = 5
# Each request waits for the disk once, so it should be large; half of it is encoded while the other is read.
_MOST_BYTES = 2 * 1024 * 1024
_MOST_EVENTS = 20_000

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class FileSink:
    """Adds events to a file, each exactly once, and each on disk before it counts as stored.

    What an earlier attempt stored is found by the ids in the last lines of the file, of those of our share.
    """

    most_bytes = _MOST_BYTES
    most_events = _MOST_EVENTS

    def __init__(self, file: RotatedFile, lines: LineEncoder, context: SinkContext) -> None:
        self._file = file
        self._lines = lines
        self._share = context.share
        self._look_back = LOOK_BACK_QUEUES * context.queue_bytes
        self._stored: set[bytes | None] | None = None
        self._used_at = 0.0

    def encode(self, batch: Batch) -> list[Entry]:
        """Return a line for each event."""
        return self._lines.entries(batch)

    def send(self, entries: Sequence[Entry], *, again: bool) -> Answer:
        """Add the lines that are not there yet; raises SinkUnavailable."""
        try:
            self._file.open()
            known = self._known() if again else self._forget()
            lines = [entry.data for entry in entries if not known or event_id(entry.data) not in known]
            if lines:
                self._file.append(b"".join(lines))
        except OSError as error:
            raise self._failure(error) from error
        return Answer()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _known(self) -> set[bytes | None]:
        """Return the ids of ours that the file had when it was first asked for them."""
        self._used_at = time.monotonic()
        if self._stored is None:
            self._stored = set(
                map(
                    event_id,
                    self._file.tail(self._look_back, None if self._share.is_whole else self._is_ours),
                )
            )
            self._stored.discard(None)
            logger.info("looked what is stored", extra={"file": self._file.path, "events": len(self._stored)})
        return self._stored

    def _is_ours(self, line: bytes) -> bool:
        """Tell whether a line is of this process's share: the others may have written any amount since."""
        found = event_id(line)
        return found is not None and self._share.has(found.decode("utf-8", "replace"))

    def _forget(self) -> set[bytes | None]:
        """Let go of what was found, some time after it was of use; nothing is known then."""
        if self._stored is not None and time.monotonic() - self._used_at > _KEEP_SECONDS:
            self._stored = None
        return set()

    def _failure(self, error: OSError) -> SinkUnavailable:
        unseen = not self._file.is_open
        if unseen:
            self._stored = None  # whatever could not be taken back is looked up before it is sent again
        message, remedy = _described(error, self._file.path)
        return SinkUnavailable(message, remedy=remedy, unseen=unseen)


def _described(error: OSError, path: Path) -> tuple[str, str | None]:
    if isinstance(error, Busy):
        return f"another process holds {path}", "see which one does, with fuser or lsof"
    if error.errno in _FULL:
        return f"the disk of {path} is full", "make room; what waits is written then"
    if error.errno == errno.ENOENT:
        return f"there is no folder {path.parent}", "create or mount it"
    if error.errno in _FORBIDDEN:
        return f"{path} cannot be written ({error.strerror})", f"let the user {os.geteuid()} write there"
    return f"{path} cannot be written ({error.strerror or error})", None


def make(word: SinkWord, context: SinkContext) -> FileSink:
    """Return the sink of ``file:///path``; raises ConfigError."""
    if word.hosts or not word.path.strip("/") or "\0" in word.path:
        raise word.problem("expected an absolute path after three slashes, such as file:///var/log/x.ndjson")
    limits = Limits(
        most_bytes=word.read("max-size", kinds.size, DEFAULT_BYTES),
        most_files=word.read("max-files", kinds.count, DEFAULT_FILES),
        compress=word.read("compress", kinds.boolean, default=True),
    )
    if not limits.most_bytes:
        raise word.problem("max-size: expected more than 0 bytes")
    return FileSink(RotatedFile(Path(word.path), limits), LineEncoder(context.host), context)


SINK = SinkKind(
    name="file",
    schemes=("file",),
    help="A file of this host, one JSON object a line.",
    options={
        "max-size": "The file is rotated before it grows beyond this (default 100MB).",
        "max-files": "How many files are kept, with the current one (default 5).",
        "compress": "Whether rotated files are packed with gzip (default true).",
    },
    make=make,
    read_back=ReadBack(written_texts, ordered=True),
)
