"""Forward servers under test, the fake and a real one, behind one way to ask for what arrived."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.forward_node import ForwardNode, TlsFiles
from log_forwarder.fake.forward import ForwardServer, server_context
from log_forwarder.sinks.contract import Parcel
from log_forwarder.sinks.fluentd.sink import FluentdSink

PATIENCE_SECONDS = 20.0
_POLL_SECONDS = 0.01

Arrived = tuple[str, int, dict[str, Any]]


class Arrivals:
    """Collects what a fake server is sent; ``ids`` are those of the events, in the order of arrival."""

    def __init__(self) -> None:
        self.all: list[Arrived] = []
        self._lock = threading.Lock()

    def __call__(self, tag: str, time_ns: int, record: dict[str, Any]) -> None:
        with self._lock:
            self.all.append((tag, time_ns, record))

    def ids(self) -> list[str]:
        with self._lock:
            return [record["event_id"] for _, _, record in self.all]


@dataclass(frozen=True, slots=True)
class Rig:
    port: int
    arrived: Callable[[], list[Arrived]]


@dataclass(frozen=True, slots=True)
class Setup:
    shared_key: str | None = None
    users: dict[str, str] | None = None
    hostname: str = "server"
    tls: TlsFiles | None = None


@contextmanager
def fake(setup: Setup) -> Iterator[Rig]:
    arrivals = Arrivals()
    tls = server_context(setup.tls.cert, setup.tls.key, setup.tls.ca) if setup.tls else None
    with ForwardServer(
        on_event=arrivals,
        shared_key=setup.shared_key,
        users=setup.users,
        hostname=setup.hostname,
        tls=tls,
    ) as server:
        yield Rig(server.port, lambda: list(arrivals.all))


@contextmanager
def node(setup: Setup) -> Iterator[Rig]:
    with ForwardNode(
        shared_key=setup.shared_key, users=setup.users, hostname=setup.hostname, tls=setup.tls
    ) as server:
        yield Rig(
            server.port, lambda: [(each.tag, each.time_ns, dict(each.record)) for each in server.entries()]
        )


KINDS = {"fake": fake, "node": node}


def wait_until(done: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(_POLL_SECONDS)


def with_tag(rig: Rig, tag: str, count: int) -> list[Arrived]:
    """Return what arrived with a tag, as soon as there are ``count`` events."""
    found: list[Arrived] = []

    def enough() -> bool:
        found[:] = [each for each in rig.arrived() if each[0] == tag]
        return len(found) >= count

    wait_until(enough, f"{count} events with the tag {tag}")
    return found


def deliver(sink: FluentdSink, parcels: list[Parcel]) -> None:
    """Send parcels one behind the other, and wait until all are acknowledged."""
    sink.connect()
    for parcel in parcels:
        sink.send(parcel)
    open_ids = {parcel.id for parcel in parcels}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while open_ids:
        assert time.monotonic() < deadline, f"no acknowledgement of {open_ids}"
        open_ids.difference_update(each.id for each in sink.confirmed(0.1))


def secret(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path
