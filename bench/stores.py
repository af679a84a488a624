"""The sinks of the fault harness: how each is lost and comes back, and what it has in the end."""

from __future__ import annotations

import contextlib
import gzip
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from bench import recorder
from bench.gate import Gate
from bench.ledger import Arrival
from compose_agent.typed import any_from_json
from lab import LabError
from lab.loopback import free_port
from lab.opensearch import OpenSearch
from lab.process import Process
from lab.scratch import Scratch
from log_forwarder.sinks.elasticsearch.options import Target
from log_forwarder.sinks.elasticsearch.setup import template

# A recorder that is to die with its next chunk may get none for as long as the forwarder pauses.
_NEXT_CHUNK_SECONDS = 15.0
_CONNECT_SECONDS = 2.0
# Long lines are among them, and the server has little memory.
_PAGE = 2_000
_BUSY_PAUSE_SECONDS = 2.0
_BUSY_TRIES = 30
_HEAP = "2g"
_STREAM = "logs-docker-default"


class Store(Protocol):
    """A sink with its process, if it has one.

    ``word`` is its option for the forwarder, ``ways`` how it can be lost. ``exactly_once``: it must have no
    event twice. ``ordered``: it keeps the order of arrival.
    """

    word: str
    ways: Sequence[str]
    exactly_once: bool
    ordered: bool

    def lose(self, how: str) -> None:
        """Begin an outage."""

    def bring_back(self) -> None:
        """End the outage."""

    def progress(self) -> int:
        """Return a number that grows as long as something arrives."""

    def arrivals(self) -> Iterator[Arrival]:
        """Yield everything that is stored."""

    def remark(self) -> str:
        """Return what else a reader of the outcome should know."""


class ForwardStore:
    """A recording server of the forward protocol."""

    ways: Sequence[str] = ("kill", "freeze", "mid-ack")
    exactly_once = False
    ordered = True

    def __init__(self, home: Path, cleanup: ExitStack, *, options: str = "") -> None:
        self._journal = home / "journal"
        port = free_port()
        self.word = f"fluentd://127.0.0.1:{port}{options}"
        scratch = Scratch()
        cleanup.callback(scratch.close)
        command = [sys.executable, "-m", "bench.recorder", f"--port={port}", f"--journal={self._journal}"]
        self._process = Process(scratch, command, name="recorder", answers=lambda: _listens(port))
        cleanup.callback(self._process.close)
        self._process.start()
        self._frozen = False

    def lose(self, how: str) -> None:
        """Kill it, freeze it, or have it die between writing a chunk down and acknowledging it."""
        self._frozen = how == "freeze"
        if self._frozen:
            self._process.freeze()
            return
        if how == "mid-ack":
            os.kill(self._process.pid, signal.SIGUSR1)
            with contextlib.suppress(LabError):  # nothing came: then it dies without
                self._process.wait_until(self._is_dead, _NEXT_CHUNK_SECONDS, "lives")
        self._process.end(signal.SIGKILL)

    def bring_back(self) -> None:
        """Thaw it, or start it on the same port."""
        if self._frozen:
            self._process.thaw()
        else:
            self._process.start()

    def progress(self) -> int:
        """Return the bytes of the journal."""
        return sum(path.stat().st_size for path in self._journal.glob("*.journal"))

    def arrivals(self) -> Iterator[Arrival]:
        """Yield what was written down."""
        return recorder.arrivals(self._journal)

    def remark(self) -> str:
        """Return how many lives it had."""
        return f"{len(list(self._journal.glob('*.journal')))} lives"

    def _is_dead(self) -> bool:
        # A zombie until it is waited for, and without a command line already.
        return not Path(f"/proc/{self._process.pid}/cmdline").read_bytes()


class FileStore:
    """A file; its outages are those of the forwarder."""

    ways: Sequence[str] = ()
    exactly_once = True
    ordered = True

    def __init__(self, home: Path) -> None:
        self._folder = home / "out"
        self._folder.mkdir()
        # So many files that none is removed.
        self.word = f"file://{self._folder}/x.ndjson?max-size=20MB&max-files=1000"

    def lose(self, how: str) -> None:
        """Do nothing: there is no way."""

    def bring_back(self) -> None:
        """Do nothing."""

    def progress(self) -> int:
        """Return the bytes of all files."""
        return sum(each.stat().st_size for each in self._folder.iterdir())

    def arrivals(self) -> Iterator[Arrival]:
        """Yield the lines, the oldest file first."""
        for path in sorted(self._folder.glob("x.ndjson*"), key=_age, reverse=True):
            # A kill leaves what was being packed; the whole file is there beside it.
            if path.suffix == ".partial" or (path.suffix == ".gz" and path.with_suffix("").exists()):
                continue
            for line in _lines(path):
                known = any_from_json(line)
                yield Arrival(known["container_id"][:12], known["source"], known["log"], known["event_id"])

    def remark(self) -> str:
        """Return how many files there are."""
        return f"{len(list(self._folder.iterdir()))} files"


class OpenSearchStore:
    """A real OpenSearch with a data stream, which is rolled over in each outage.

    The forwarder reaches it through a gate, which opens only after the roll-over: what is sent again is sent
    to a new backing index.
    """

    ways: Sequence[str] = ("kill", "freeze", "mid-ack")
    exactly_once = True
    ordered = False

    def __init__(self, cleanup: ExitStack) -> None:
        self._server = cleanup.enter_context(OpenSearch(heap=_HEAP, lasting=True))
        # The template that ``compose-agent logs setup`` installs.
        target = Target(_STREAM, "stream")
        self._server.call("PUT", f"/_index_template/{_STREAM}", template(target, precise_text=True))
        self._gate = cleanup.enter_context(Gate(self._server.port))
        self._how = ""
        self.word = f"elasticsearch://127.0.0.1:{self._gate.port}/{_STREAM}"

    def lose(self, how: str) -> None:
        """Kill it, freeze it, or keep its next answer from the forwarder and cut the connection."""
        self._how = how
        if how == "freeze":
            self._server.process.freeze()
            return
        if how == "kill":
            self._server.kill()
        else:
            self._gate.muted = True
            self._gate.swallowed.wait(_NEXT_CHUNK_SECONDS)
        self._gate.shut()

    def bring_back(self) -> None:
        """Start it on its data or thaw it, roll the stream over, and open the gate."""
        if self._how == "freeze":
            self._server.process.thaw()
            self._gate.shut()
        elif self._how == "kill":
            self._server.process.start()
        with contextlib.suppress(LabError):  # no stream yet: nothing has arrived before the first outage
            self._server.rollover(_STREAM)
        self._gate.open()

    def progress(self) -> int:
        """Return the number of documents since its last start."""
        try:
            return self._server.indexed(_STREAM)
        except LabError:  # no stream yet
            return 0

    def arrivals(self) -> Iterator[Arrival]:
        """Yield the documents of all backing indices."""
        self._patiently(f"/{_STREAM}/_refresh")
        query = {
            "size": _PAGE,
            "sort": ["_doc"],
            "_source": ["message", "container.id", "log.iostream"],
        }
        page = self._patiently(f"/{_STREAM}/_search?scroll=2m", query)
        while hits := page["hits"]["hits"]:
            yield from map(_document, hits)
            body = {"scroll": "2m", "scroll_id": page["_scroll_id"]}
            page = self._patiently("/_search/scroll", body)

    def _patiently(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask once more when the server has no memory to answer with."""
        for _ in range(_BUSY_TRIES):
            try:
                return self._server.call("POST", path, body)
            except LabError as error:
                if "(429)" not in error.message:
                    raise
                time.sleep(_BUSY_PAUSE_SECONDS)
        raise LabError("OpenSearch stays without memory")

    def remark(self) -> str:
        """Return how many backing indices the events are in."""
        return f"{len(self._server.backing_indices(_STREAM))} backing indices"


def make_store(kind: str, home: Path, cleanup: ExitStack) -> Store:
    """Start a sink of a kind: forward, file, opensearch."""
    makers: Mapping[str, Callable[[], Store]] = {
        "forward": lambda: ForwardStore(home, cleanup),
        "forward-gzip": lambda: ForwardStore(home, cleanup, options="?compress=gzip"),
        "file": lambda: FileStore(home),
        "opensearch": lambda: OpenSearchStore(cleanup),
    }
    return makers[kind]()


KINDS = ("forward", "forward-gzip", "file", "opensearch")


def _document(hit: Mapping[str, Any]) -> Arrival:
    source = hit["_source"]
    return Arrival(source["container"]["id"][:12], source["log"]["iostream"], source["message"], hit["_id"])


def _lines(path: Path) -> Iterator[bytes]:
    if path.suffix == ".gz":
        with gzip.open(path) as unpacked:
            yield from unpacked
    else:
        with path.open("rb") as plain:
            yield from plain


def _age(path: Path) -> int:
    """Return the number of a rotated file, 0 for the current one."""
    number = path.name.removeprefix("x.ndjson").strip(".").partition(".")[0]
    return int(number) if number else 0


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
