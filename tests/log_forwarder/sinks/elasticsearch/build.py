"""Batches, sinks and couriers for the tests of this folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose_agent.dockerd.model import Container
from compose_agent.typed import any_from_json
from log_forwarder.couriers import RequestCourier
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import SinkContext
from log_forwarder.sinks.elasticsearch.encode import Encoder
from log_forwarder.sinks.elasticsearch.lookup import Lookup
from log_forwarder.sinks.elasticsearch.options import options_of
from log_forwarder.sinks.elasticsearch.sink import ElasticsearchSink
from log_forwarder.sinks.http import client_of
from log_forwarder.sinks.word import SinkWord, parse_word

STREAM = "logs-docker-default"
PORTS = {"elasticsearch": 9200, "elasticsearch+https": 9200}
COMPOSE = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "2",
}
WEB = Container("c" * 64, "shop-web-2", "nginx:1.27", "sha256:1", "running", labels=COMPOSE)


@dataclass
class Settled:
    """An owner that keeps what was settled."""

    batches: list[Batch] = field(default_factory=list)

    def settled(self, batch: Batch) -> None:
        self.batches.append(batch)


def event(number: int, log: str | None = None, **more: Any) -> Event:
    time = f"2026-11-22T10:00:00.{number:09}Z"
    return Event(log or f"line {number}", "stdout", time, id=f"id-{number}", **more)


def batch(events: Iterable[Event], *, again: bool = False, container: Container = WEB) -> Batch:
    found = list(events)
    return Batch(container, found, 100 * len(found), Position(Mark("g", 0)), Settled(), again)


def batches(count: int, size: int, *, again: bool = False) -> list[Batch]:
    """Return events 0 to ``count``, ``size`` to a batch."""
    starts = range(0, count, size)
    return [batch(map(event, range(start, min(start + size, count))), again=again) for start in starts]


def word(text: str) -> SinkWord:
    return parse_word(text, PORTS)


def context(folder: Path = Path("/nowhere")) -> SinkContext:
    return SinkContext("es", "node-1", folder)


def sink_for(url: str, *, settle: float = 0.0, answer: float = 5.0) -> ElasticsearchSink:
    """Return the sink for ``elasticsearch://…`` that is less patient than the real one."""
    parsed = word(url)
    options = options_of(parsed)
    client = client_of(parsed, tls=parsed.scheme.endswith("https"), answer_seconds=answer)
    lookup = (
        Lookup(client, options.target, settle_seconds=settle) if options.target.kind == "stream" else None
    )
    return ElasticsearchSink(client, Encoder(options.target, "node-1"), options, lookup)


@dataclass
class Delivery:
    """A courier in a thread of its own, with its outbox and dead letters."""

    outbox: Outbox
    letters: DeadLetters
    courier: RequestCourier
    stop: threading.Event
    thread: threading.Thread

    def put(self, *given: Batch) -> None:
        for each in given:
            assert self.outbox.put(each, 10.0)

    def finish(self, seconds: float = 60.0) -> None:
        self.stop.set()
        self.outbox.close()
        self.thread.join(seconds)
        assert not self.thread.is_alive()

    def dead(self) -> list[dict[str, Any]]:
        if not self.letters.path.exists():
            return []
        return [any_from_json(line) for line in self.letters.path.read_bytes().splitlines()]


@contextmanager
def delivery(sink: ElasticsearchSink, folder: Path) -> Iterator[Delivery]:
    outbox, letters = Outbox(1 << 26), DeadLetters(folder)
    abandon, stop = threading.Event(), threading.Event()
    courier = RequestCourier("es", sink, outbox, letters, abandon)
    thread = threading.Thread(target=courier.run, args=(stop,))
    thread.start()
    try:
        yield Delivery(outbox, letters, courier, stop, thread)
    finally:
        abandon.set()
        outbox.close()
        thread.join(60)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
