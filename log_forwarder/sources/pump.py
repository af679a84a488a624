"""One container's log by the Engine's API: a stream that is opened again and again, and a bounded buffer."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compose_agent.dockerd.logstream import PIECE_BYTES, LogStream, Piece
from compose_agent.errors import EngineError, EngineNotFound, EngineRefused
from log_forwarder.sources.places import Nanos

logger = logging.getLogger(__name__)

# What is read ahead of a sink's reader, for each container; for a hundred of them that is 25 MiB.
BUFFER_BYTES = 256 * 1024
# A stream on which nobody reads is moved forward by the Engine without a word when the log is rotated; after
# so long without room it is closed, and opened where it ended once there is room.
LAG_SECONDS = 1.0
RECONNECT_FIRST_SECONDS = 0.25
RECONNECT_LAST_SECONDS = 10.0
# A log that cannot be read will hardly be readable before the container is started anew.
REFUSED_SECONDS = 300.0
# A line's time is taken before its turn to be written, so that times of two streams are mixed in a log. A
# turn takes long when the log is rotated and the file before it is still being compressed.
OVERLAP_NS = 10 * 10**9
STOP_SECONDS = 2.0
_BEING_REMOVED = 409

Dated = tuple[Piece, int]


@dataclass(slots=True)
class _Latest:
    """What was last received of a stream: ``count`` pieces with this time, and whether its line goes on.

    ``again`` counts those of them that the present connection has brought, ``passed`` says that it is
    beyond them.
    """

    nanos: int
    count: int = 0
    open: bool = False
    again: int = 0
    passed: bool = True


class Received:
    """Tells pieces that a connection brings once more from new ones. ``missed`` counts gaps it has seen."""

    def __init__(self, since: int) -> None:
        self.missed = 0
        self._since = since
        self._asked = since
        self._latest: dict[str, _Latest] = {}
        self._nanos = Nanos()

    def begin(self) -> int:
        """Begin with a new connection, and return from when on it is to bring lines, in nanoseconds."""
        for each in self._latest.values():
            each.again, each.passed = 0, False
        open_ = [each.nanos for each in self._latest.values() if each.open]
        self._asked = max(0, min([self._since, *open_]) - OVERLAP_NS)
        return self._asked

    def fresh(self, pieces: Sequence[Piece]) -> list[Dated]:
        """Return the pieces that were not received before, with the times of their lines."""
        dated = [(piece, self._nanos.of(piece.time)) for piece in pieces]
        return [each for each in dated if self._is_fresh(*each)]

    def _is_fresh(self, piece: Piece, nanos: int) -> bool:
        latest = self._latest.get(piece.stream)
        if latest is None:
            latest = self._latest[piece.stream] = _Latest(nanos)
        if not latest.passed and not self._passes(latest, nanos):
            return False
        if nanos != latest.nanos:
            latest.nanos, latest.count = nanos, 0
        latest.count += 1
        latest.open = len(piece.data) >= PIECE_BYTES and not piece.data.endswith(b"\n")
        self._since = nanos
        return True

    def _passes(self, latest: _Latest, nanos: int) -> bool:
        """Tell whether a piece lies behind the latest one; take note if it does or is the latest itself."""
        if nanos == latest.nanos:
            latest.again += 1
            latest.passed = latest.again >= latest.count
            return False
        if nanos > latest.nanos:
            latest.passed = True
            self.missed += latest.nanos >= self._asked
        return latest.passed


class Pump:
    """Reads in a thread of its own; ``take`` what has come, ``wake`` is called when something has.

    ``open_stream(since)`` opens the log from a moment on. The container must be said to run, to rest or to be
    gone; ``over`` says that nothing more comes, ``error`` why nothing comes.
    """

    def __init__(
        self, name: str, open_stream: Callable[[str], LogStream], since: int, wake: Callable[[], None]
    ) -> None:
        self.over = False
        self.error = ""
        self.corrupt = 0
        self.missed = 0
        self._name = name
        self._open_stream = open_stream
        self._received = Received(since)
        self._wake = wake
        self._buffer: deque[tuple[list[Dated], int]] = deque()
        self._bytes = 0
        self._room = threading.Condition()
        self._runs = True
        self._gone = False
        self._closed = False
        self._news = threading.Event()
        self._stream: LogStream | None = None
        self._thread = threading.Thread(target=self._run, name=f"log of {name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self) -> tuple[list[Dated], int] | None:
        """Return the next pieces and their size in bytes, None if there are none."""
        with self._room:
            if not self._buffer:
                return None
            taken = self._buffer.popleft()
            self._bytes -= taken[1]
            self._room.notify_all()
            return taken

    def waiting(self) -> int:
        """Return how many bytes wait to be taken."""
        return self._bytes

    def set_running(self, *, runs: bool) -> None:
        """Take note of what the container does."""
        self._runs = runs
        self._news.set()

    def set_gone(self) -> None:
        """Take note that the container was removed: what the stream still brings is the end."""
        self._gone = True
        self._news.set()

    def again(self) -> None:
        """Open the stream anew: the connection may be dead without having ended."""
        self._news.set()
        if stream := self._stream:
            stream.close()

    def close(self) -> None:
        """End; nothing more is read."""
        self._closed = True
        self.again()
        with self._room:
            self._room.notify_all()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        pause = 0.0
        while not self._closed and not self.over:
            self._news.clear()
            ran, begun = self._runs, time.monotonic()
            try:
                held = self._read() or time.monotonic() - begun > RECONNECT_LAST_SECONDS
                wait = None if not ran else 0.0
            except EngineError as error:
                held, wait = False, self._failed(error)
            except Exception:  # the thread's outermost loop: without it the log stands still for ever
                logger.exception("fault in reading a log", extra={"container": self._name})
                held, wait = False, 0.0
            pause = 0.0 if held else min(max(pause * 2, RECONNECT_FIRST_SECONDS), RECONNECT_LAST_SECONDS)
            if self._gone:
                self._end()
            elif not self._closed and not self.over:
                self._news.wait(pause if wait == 0.0 else wait)
        self._wake()
