"""Containers, events and sinks of these tests."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack

from compose_agent.dockerd.model import Container
from log_forwarder import sinks
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.sinks.contract import Parcel, SinkContext
from log_forwarder.sinks.fluentd.sink import FluentdSink

ID = "0123456789abcdef" * 4
TIME = "2026-01-02T03:04:05.678901234Z"
TIME_NS = 1_767_323_045_678_901_234
HOST = "host-1"
RECORD = {
    "container_id": ID,
    "container_name": "/shop-web-1",
    "image": "nginx:1.27",
    "compose_project": "shop",
    "compose_service": "web",
    "compose_number": "1",
    "host": HOST,
    "source": "stdout",
}


def compose_labels(project: str, service: str) -> dict[str, str]:
    return {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": "1",
    }


WEB = Container(ID, "shop-web-1", "nginx:1.27", "sha256:1", "running", labels=compose_labels("shop", "web"))
DB = Container(
    "f" * 64, "shop-db-1", "postgres:16", "sha256:2", "running", labels=compose_labels("shop", "db")
)
ALONE = Container("e" * 64, "lone.ly", "busybox", "sha256:3", "running")


class Owner:
    """Remembers what was settled."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def settled(self, batch: Batch) -> None:
        self.batches.append(batch)


def event(number: int = 0, log: str | None = None, **fields: Any) -> Event:
    text = f"line {number}" if log is None else log
    return Event(**{"log": text, "stream": "stdout", "time": TIME, "id": f"0123.{number:08x}", **fields})


def batch(events: Sequence[Event], container: Container = WEB, owner: Owner | None = None) -> Batch:
    size = sum(len(each.log) for each in events) + 90 * len(events)
    return Batch(container, list(events), size, Position(Mark("g", 0)), owner or Owner())


def sink(word: str, state_dir: Path = Path("/nonexistent")) -> FluentdSink:
    made = sinks.make_sink(sinks.parse(word), SinkContext("fluentd", HOST, state_dir))
    assert isinstance(made, FluentdSink)
    return made


def message(parcel: Parcel) -> list[Any]:
    """Return ``[tag, body, option]``."""
    found: list[Any] = msgpack.unpackb(parcel.data)
    return found


def entries(body: bytes) -> list[Any]:
    unpacker = msgpack.Unpacker()
    unpacker.feed(body)
    return list(unpacker)


def records(parcel: Parcel) -> list[dict[str, Any]]:
    _, body, option = message(parcel)
    return [record for _, record in entries(gzip.decompress(body) if "compressed" in option else body)]
