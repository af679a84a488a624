"""One container's log by the Engine's API: a stream that is opened again and again, and a bounded buffer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compose_agent.dockerd.logstream import ENGINE, PIECE_BYTES, LogStream, Piece
from compose_agent.errors import EngineError, EngineRefused
from log_forwarder.sources.places import Nanos

logger = logging.getLogger(__name__)

# What is read ahead of a sink's reader, for each container; for a hundred of them that is 25 MiB.
BUFFER_BYTES = 256 * 1024
# A stream on which nobody reads is moved forward by the Engine without a word when the log is rotated; after
# so long without room it is closed, and opened where it ended once there is room.
LAG_SECONDS = 1.0
RECONNECT_FIRST_SECONDS = 0.25
RECONNECT_LAST_SECONDS = 10.0
# A container that rests, and one whose log cannot be read, say so when they are started anew; this is for
# the start that nobody has heard of.
REST_SECONDS = 300.0
# A line's time is taken before its turn to be written, so that times of two streams are mixed in a log. A
# turn takes long when the log is rotated and the file before it is still being compressed.
OVERLAP_NS = 10 * 10**9
# The container is removed (404), or about to be (409).
GONE = (404, 409)

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

    ``open_stream(since_ns)`` opens the log from a moment on. ``over`` says that nothing more comes, ``error``
    why nothing comes now. A container that rests is asked again when it is said to run.
    """

    def __init__(
        self, name: str, open_stream: Callable[[int], LogStream], since: int, wake: Callable[[], None]
    ) -> None:
        self.over = False
        self.error = ""
        self.corrupt = 0
        self._name = name
        self._open_stream = open_stream
        self._received = Received(since)
        self._wake = wake
        self._buffer: list[Dated] = []
        self._bytes = 0
        self._room = threading.Condition()
        self._runs = True
        self._closed = False
        self._broken = False  # the stream before did not end by itself
        self._cut_off = 0
        self._news = threading.Event()
        self._stream: LogStream | None = None
        self._thread = threading.Thread(target=self._run, name=f"log of {name}", daemon=True)

    @property
    def missed(self) -> int:
        """How often lines were gone before they were read, as far as that can be known."""
        return self._received.missed + self._cut_off

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self) -> tuple[list[Dated], int] | None:
        """Return the pieces that wait and their size in bytes, None if there are none."""
        with self._room:
            if not self._buffer:
                return None
            taken = self._buffer, self._bytes
            self._buffer, self._bytes = [], 0
            self._room.notify_all()
            return taken

    def waiting(self) -> int:
        """Return how many bytes wait to be taken."""
        return self._bytes

    def look(self, *, runs: bool) -> None:
        """Ask again: the container was started or has ended, ``runs`` says which, or it was removed."""
        self._runs = runs
        self._news.set()

    def reconnect(self) -> None:
        """Open the stream anew: the connection may be dead without having ended."""
        self._news.set()
        if stream := self._stream:
            stream.close()

    def close(self) -> None:
        """End; nothing more is read."""
        self._closed = True
        self.reconnect()
        with self._room:
            self._room.notify_all()

    def _run(self) -> None:
        pause = 0.0
        while not self._closed and not self.over:
            self._news.clear()
            runs, begun = self._runs, time.monotonic()
            try:
                something = self._read()
                rests = not runs
            except EngineError as error:
                something, rests = False, self._failed(error)
            except Exception:  # the thread's outermost loop: without it the log stands still for ever
                logger.exception("fault in reading a log", extra={"container": self._name})
                something, rests = False, False
            held = something or time.monotonic() - begun > RECONNECT_LAST_SECONDS
            pause = min(max(pause * 2, RECONNECT_FIRST_SECONDS), RECONNECT_LAST_SECONDS)
            pause = RECONNECT_FIRST_SECONDS if held else pause
            if not self._closed and not self.over:
                self._news.wait(REST_SECONDS if rests else pause)
        self._wake()

    def _read(self) -> bool:
        """Read one stream until it ends or nobody takes what it brings; tell whether it brought anything."""
        something = False
        with self._open_stream(self._received.begin()) as stream:
            self._stream, self._broken, self.error = stream, True, ""
            if self._closed:
                return False
            for pieces in stream:
                something |= self._put(pieces)
                if not self._has_room(LAG_SECONDS):
                    break
            else:
                self._broken = False
        while not self._has_room(LAG_SECONDS):
            pass
        return something

    def _put(self, pieces: Sequence[Piece]) -> bool:
        ours = [each for each in pieces if each.stream != ENGINE]
        if len(ours) < len(pieces):
            self.corrupt += len(pieces) - len(ours)
            words = [each.data.decode("utf-8", "replace").strip() for each in pieces if each.stream == ENGINE]
            self._say("; ".join(words))
        if not (fresh := self._received.fresh(ours)):
            return False
        size = sum(len(piece.data) for piece, _ in fresh)
        with self._room:
            first = not self._buffer
            self._buffer += fresh
            self._bytes += size
        if first:
            self._wake()
        return True

    def _has_room(self, wait: float) -> bool:
        with self._room:
            return self._room.wait_for(lambda: self._closed or self._bytes < BUFFER_BYTES, wait)

    def _failed(self, error: EngineError) -> bool:
        """Take note of an error, and tell whether another attempt is of no use for now."""
        if isinstance(error, EngineRefused) and error.status in GONE:
            self.over = True
            self._cut_off += self._broken
            return True
        if not self._closed:
            self._say(str(error))
        return isinstance(error, EngineRefused)

    def _say(self, words: str) -> None:
        if not self.error:
            logger.warning("a log cannot be read", extra={"container": self._name, "error": words})
        self.error = words
