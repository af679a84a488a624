"""A forward server that writes down what it receives before it acknowledges it, and outlives its kills.

    python -m bench.recorder --port 24224 --journal DIR

Each life of the process begins a file of its own, a sequence of msgpack arrays: ``["c", connection, chunk,
time, compressed, body]`` before an acknowledgement, ``["a", connection, chunk, time]`` after it; times are of
the monotonic clock. SIGUSR1: with the next chunk, die between the two.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack

from bench.ledger import Arrival
from log_forwarder.fake.forward.wire import Chunk, Session, chunks, unpacked

_READ_BYTES = 256 * 1024
_BACKLOG = 16


class Recorder:
    """Serves one connection a thread; the journal is written under a lock, in the order of arrival."""

    def __init__(self, port: int, journal: Path) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        journal.mkdir(parents=True, exist_ok=True)
        # Appended without buffer: what write() has taken survives the process.
        self._journal = (journal / f"{time.time_ns()}.journal").open("ab", buffering=0)
        self._lock = threading.Lock()
        self._dying = False

    def die_with_next_chunk(self, *_: object) -> None:
        """Handle SIGUSR1."""
        self._dying = True

    def serve(self) -> None:
        """Accept connections for ever."""
        number = 0
        while True:
            connection, _ = self._listener.accept()
            number += 1
            threading.Thread(target=self._talk, args=(number, connection), daemon=True).start()

    def _talk(self, number: int, connection: socket.socket) -> None:
        # The other end is killed at any moment, also within a message.
        with connection, suppress(OSError, ValueError):
            for message in Session(connection, _READ_BYTES).messages():
                for chunk in chunks(message):
                    self._record("c", number, chunk, chunk.compressed, chunk.body)
                    if self._dying:
                        os.kill(os.getpid(), signal.SIGKILL)
                    connection.sendall(chunk.ack)
                    self._record("a", number, chunk)

    def _record(self, kind: str, number: int, chunk: Chunk, *more: object) -> None:
        frame = msgpack.packb([kind, number, chunk.ack, time.monotonic(), *more])
        with self._lock:
            self._journal.write(frame)


def arrivals(journal: Path) -> Iterator[Arrival]:
    """Yield what the lives of a recorder have received, in order."""
    for path in sorted(journal.glob("*.journal")):
        acked = _acks(path)
        for place, (kind, *frame) in enumerate(_frames(path)):
            if kind == "c":
                *_, compressed, body = frame
                yield from _events(body, compressed, acked.get(place, -1.0))


def _acks(path: Path) -> dict[int, float]:
    """Return when the chunks were acknowledged, by their place in the file."""
    waiting: dict[tuple[int, bytes], int] = {}
    found: dict[int, float] = {}
    for place, (kind, number, ack, at, *_) in enumerate(_frames(path)):
        if kind == "c":
            waiting[number, ack] = place
        else:
            found[waiting.pop((number, ack))] = at
    return found


def _frames(path: Path) -> Iterator[list[Any]]:
    """Yield the frames of a file; one that was torn by a kill was not acknowledged, and is left out."""
    with path.open("rb") as file:
        yield from msgpack.Unpacker(file, max_buffer_size=0)


def _events(body: bytes, compressed: str, acked: float) -> Iterator[Arrival]:
    for _, record in unpacked(Chunk("", body, compressed, None, None, b"")):
        yield Arrival(record["container_id"][:12], record["source"], record["log"], record["event_id"], acked)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    asked = parser.parse_args()
    recorder = Recorder(asked.port, asked.journal)
    signal.signal(signal.SIGUSR1, recorder.die_with_next_chunk)
    recorder.serve()


if __name__ == "__main__":
    main()
