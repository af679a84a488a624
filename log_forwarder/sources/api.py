"""Reading one container's log for one sink by the Engine's logs API, where its files cannot be read.

What the API cannot do, files can: nothing tells when the Engine leaves out lines because a log was rotated
while its reader lagged. So lines are read as soon as they come, a stream that must wait is closed rather
than left waiting, and after each new connection and each restart the line that was the last one is looked
for: if it is not there any more, lines after it may be missing too, and that is counted as a gap. What a
container wrote that was removed before its log was opened, nobody can read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from compose_agent.dockerd.logstream import LogStream
from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.sources.cursor import Losses
from log_forwarder.sources.follower import Books
from log_forwarder.sources.places import GENERATION, STREAMS, Lines, Place, position_of
from log_forwarder.sources.pump import Dated, Pump
from log_forwarder.sources.settling import Settling
from log_forwarder.transforms.pipeline import Pipeline

# So much of the log's time is marked as sent ahead of the sending: the more, the more is looked up after a
# kill; the less, the more often it is written down.
RESERVE_NS = 30 * 10**9


class ApiFollower:
    """Turns the log of one container into batches; a lane has it in the place of a follower of files.

    ``open_stream(since_ns)`` opens the log. A position in files tells nothing here, so that everything is
    read once more. ``wake`` is called when there is something to read. One thread reads, another settles.
    """

    def __init__(
        self,
        container: Container,
        open_stream: Callable[[int], LogStream],
        books: Books,
        *,
        pipeline: Pipeline | None = None,
        from_now: bool = False,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        position = books.position
        if position is None and from_now:
            now = time.time_ns()
            position = position_of(now, {stream: Place(now) for stream in STREAMS})
            books.keep(position)
        known = position if position and position.mark.generation == GENERATION else None
        self._container = container
        self._books = books
        self._needs = known.mark if known else Mark("", 0)
        self._settling = Settling(self._keep)
        self._losses = Losses(gaps=int(position is not None and known is None))
        self._lines = Lines(container.short_id, known)
        reserved = books.reserved
        self._reserved = reserved.offset if reserved and reserved.generation == GENERATION else 0
        self._suspect_until = self._reserved
        self._taken: tuple[list[Dated], int] | None = None
        self._pipeline = None if pipeline is None or pipeline.empty else pipeline
        self._gone = False
        self._newest = ""
        self._reading = threading.Lock()
        self._pump = Pump(container.name or container.short_id, open_stream, self._needs.offset, wake)
        self._pump.look(runs=_runs(container))
        self._pump.start()

    @property
    def container(self) -> Container:
        """What is known of the container; to set it tells whether there is something to read."""
        return self._container

    @container.setter
    def container(self, container: Container) -> None:
        before, self._container = self._container, container
        if (_runs(before), before.started_at) != (_runs(container), container.started_at):
            self._pump.look(runs=_runs(container))

    @property
    def losses(self) -> Losses:
        """What of the log could not be read, as far as that can be known; of gaps no sizes are known."""
        gaps = self._losses.gaps + self._pump.missed + self._lines.missed
        return Losses(corrupt=self._pump.corrupt, gaps=gaps)

    @property
    def error(self) -> str:
        """Why nothing is read at the moment; empty while all is well."""
        return self._pump.error

    def read(self) -> Batch | None:
        """Return the next batch; None when there is nothing more at the moment. Raises StateError."""
        with self._reading:
            return self._read()

    def _read(self) -> Batch | None:
        while taken := self._taken or self._pump.take():
            self._taken = taken  # until it is written down that it may be sent
            pieces, size = taken
            times = [nanos for _, nanos in pieces]
            self._make_known(max(times))
            self._taken = None
            self._newest = pieces[-1][0].time
            lines = [line for piece, nanos in pieces for line in self._lines.take(piece, nanos)]
            if lines:
                return self._batch(self._transformed(lines), size, again=min(times) < self._suspect_until)
        return self._rest() if self._pump.over else self._due()

    def holds(self) -> bool:
        """Tell whether transforms hold lines back, which come out when nothing follows for a while."""
        return self._pipeline is not None and bool(self._pipeline.held())

    def settled(self, batch: Batch) -> None:
        """Take note of a settled batch, and keep the position before which all are."""
        self._settling.settle(batch)

    def needs(self) -> Mark:
        """Return from where on a restart would read; its generation is empty if that is all."""
        return self._needs

    def unsettled(self) -> int:
        """Return how many batches are on their way."""
        return len(self._settling)

    def oldest_age(self, now: float) -> float:
        """Return for how many seconds the oldest batch has been on its way; 0 without any."""
        return self._settling.oldest_age(now)

    def behind(self) -> int:
        """Return the bytes that came and are not read yet; what the Engine still has is not known."""
        return self._pump.waiting()

    def newest(self) -> str:
        """Return Docker's time of the last piece that was read; empty before the first."""
        return self._newest

    def drained(self) -> bool:
        """Tell whether a removed container's log is read and settled to its end."""
        if not self._pump.over or not self._reading.acquire(blocking=False):
            return False  # what is being read is neither waiting nor on its way yet
        try:
            left = self._pump.waiting() or self._taken or self._lines.open() or self.holds()
            return not left and not self._settling
        finally:
            self._reading.release()

    def gone(self) -> None:
        """Take note that the container was removed; may be said more than once."""
        if not self._gone:
            self._gone = True
            self._pump.look(runs=False)

    def reconnect(self) -> None:
        """Open the stream anew: the Engine was away."""
        self._pump.reconnect()

    def close(self) -> None:
        """Read nothing more."""
        self._pump.close()

    def _keep(self, position: Position) -> None:
        self._needs = position.mark
        self._books.keep(position)

    def _make_known(self, nanos: int) -> None:
        """Write down that lines up to here may be sent, in large steps, before they are."""
        if nanos >= self._reserved:
            self._books.reserve(Mark(GENERATION, nanos + RESERVE_NS))
            self._reserved = nanos + RESERVE_NS

    def _transformed(self, lines: list[Event]) -> list[Event]:
        return self._pipeline.apply(lines) if self._pipeline else lines

    def _rest(self) -> Batch | None:
        """Return the lines that will never be completed, once nothing more comes."""
        if self._pump.waiting() or not (self._lines.open() or self.holds()):
            return None
        lines = self._transformed(self._lines.flush())
        if self._pipeline:
            lines += self._pipeline.due(time.monotonic(), everything=True)
        return self._batch(lines, 0, again=self._suspect_until > 0)

    def _due(self) -> Batch | None:
        """Return the lines that transforms have held long enough."""
        if self._pipeline is None or not (lines := self._pipeline.due(time.monotonic())):
            return None
        return self._batch(lines, 0, again=self._suspect_until > 0)

    def _batch(self, lines: list[Event], size: int, *, again: bool) -> Batch:
        held_back = self._pipeline.held() if self._pipeline else ()
        batch = Batch(self._container, lines, size, self._lines.position(held_back), self, again)
        self._settling.add(batch)
        return batch


def _runs(container: Container) -> bool:
    return container.state in ("running", "paused")
