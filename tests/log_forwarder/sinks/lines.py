"""Batches to try sinks of lines with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.sinks import make_sink, parse
from log_forwarder.sinks.contract import Answer, RequestSink, SinkContext

CONTAINER = Container(
    id="ab" * 32,
    name="shop-web-1",
    image="web:1",
    image_id="sha256:1",
    state="running",
    labels={
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "1",
    },
)


class NoOwner:
    def settled(self, batch: Batch) -> None:
        pass


def event(number: int, log: str = "") -> Event:
    return Event(
        log or f"line {number}",
        "stdout",
        f"2026-01-02T03:04:05.{number:09d}Z",
        id=f"abababababab.1.{number:010x}",
    )


def batch(events: Sequence[Event]) -> Batch:
    return Batch(CONTAINER, list(events), 100 * len(events), Position(Mark("1", 0)), NoOwner())


def numbered(start: int, end: int) -> Batch:
    return batch([event(number) for number in range(start, end)])


def texts(start: int, end: int) -> list[str]:
    """Return the texts of ``numbered(start, end)``."""
    return [event(number).log for number in range(start, end)]


def sink(word: str, state_dir: Path) -> RequestSink:
    made = make_sink(parse(word), SinkContext(word, "host-1", state_dir))
    assert isinstance(made, RequestSink)
    return made


def send(target: RequestSink, given: Batch, *, again: bool = False) -> Answer:
    return target.send(target.encode(given), again=again)


def send_once(target: RequestSink, given: Batch) -> Answer:
    """Send a batch with a sink that is needed for nothing else."""
    with closing(target):
        return send(target, given)
