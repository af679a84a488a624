"""Events on the standard output, as NDJSON, for a pipe or for ``docker logs``."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence

from log_forwarder.event import Batch
from log_forwarder.sinks.contract import Answer, Entry, SinkContext, SinkKind, SinkUnavailable
from log_forwarder.sinks.ndjson import LineEncoder
from log_forwarder.sinks.word import SinkWord

# A reader of a pipe that rests longer than this is reported; what is left is offered to it again and again.
_PATIENCE_SECONDS = 10.0
# A terminal should show lines soon, and larger requests would gain nothing.
_MOST_BYTES = 256 * 1024
_MOST_EVENTS = 2_000


class StdoutSink:
    """Writes lines to a descriptor that it does not own.

    What a process before this one wrote cannot be known. Within one, a request that was cut short goes on
    where it stopped.
    """

    most_bytes = _MOST_BYTES
    most_events = _MOST_EVENTS

    def __init__(self, descriptor: int, lines: LineEncoder, patience: float = _PATIENCE_SECONDS) -> None:
        self._descriptor = descriptor
        self._lines = lines
        self._patience = patience
        self._rest = b""  # of a line whose beginning is written
        self._written: set[str] = set()  # ids of what is written of a request that was cut short

    def encode(self, batch: Batch) -> list[Entry]:
        """Return a line for each event."""
        return self._lines.entries(batch)

    def send(self, entries: Sequence[Entry], *, again: bool) -> Answer:
        """Write the lines; raises SinkUnavailable when nobody reads."""
        left = [entry for entry in entries if entry.event.id not in self._written]
        before = len(self._rest)
        data = self._rest + b"".join(entry.data for entry in left)
        done = 0
        try:
            while done < len(data):
                done += self._write(data[done : done + select.PIPE_BUF])
        except OSError as error:
            self._cut_short(left, data, before, done)
            raise SinkUnavailable(
                f"the standard output takes nothing ({error.strerror})", unseen=True
            ) from error
        self._rest = b""
        self._written.clear()
        return Answer()

    def close(self) -> None:
        """Do nothing: the standard output is the process's."""

    def _write(self, piece: bytes) -> int:
        """Write a piece; a pipe that is ready takes as much without waiting."""
        ready = select.poll()
        ready.register(self._descriptor, select.POLLOUT)
        if not ready.poll(self._patience * 1000):
            raise TimeoutError(0, f"nobody has read from it for {self._patience:g} s")
        return os.write(self._descriptor, piece)

    def _cut_short(self, entries: Sequence[Entry], data: bytes, end: int, done: int) -> None:
        """Note which lines are written, and the rest of the one in which it stopped."""
        for entry in entries:
            if end >= done:
                break
            self._written.add(entry.event.id)
            end += len(entry.data)
        self._rest = data[done : max(end, done)]


def make(word: SinkWord, context: SinkContext) -> StdoutSink:
    """Return the sink of ``stdout://``; raises ConfigError."""
    if word.hosts or word.path.strip("/"):
        raise word.problem("expected stdout:// with nothing behind it but options")
    return StdoutSink(sys.stdout.fileno(), LineEncoder(context.host))


SINK = SinkKind(
    name="stdout",
    schemes=("stdout",),
    help="The standard output, one JSON object a line.",
    options={},
    make=make,
    sharable=False,  # what two processes write into one pipe is mixed within lines
)
