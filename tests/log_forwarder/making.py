"""Containers, records, batches and sinks in memory, for the tests of the forwarder's core."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.sinks.contract import Answer, Confirmation, Entry, Parcel, Refusal

ID = "0123456789ab" * 5 + "cdef"
START = Position(Mark("generation", 0))
# What is bounded in these tests takes milliseconds; this is for a loaded machine.
PATIENCE_SECONDS = 20.0
_POLL_SECONDS = 0.005


def container(id: str = ID, name: str = "shop-web-1", **other: object) -> Container:
    """Return a running container."""
    return Container(id=id, name=name, image="web:1", image_id="sha256:1", state="running", **other)  # type: ignore[arg-type]


def moment(number: int) -> str:
    """Return the time of the record with this number, as Docker writes times."""
    return f"2026-01-02T03:04:05.{number:09d}Z"


def packed(log: str, number: int, stream: str = "stdout", **attrs: str) -> bytes:
    """Return a record of a json-file log; ``log`` brings its newline."""
    record: dict[str, object] = {"log": log, "stream": stream}
    if attrs:
        record["attrs"] = attrs
    return json.dumps(record | {"time": moment(number)}, separators=(",", ":")).encode() + b"\n"


@dataclass(eq=False)
class Owner:
    """Notes the batches that are settled."""

    batches: list[Batch] = field(default_factory=list)

    def settled(self, batch: Batch) -> None:
        self.batches.append(batch)


def make_batch(
    *logs: str, owner: Owner | None = None, size: int = 100, again: bool = False, of: Container | None = None
) -> Batch:
    """Return a batch with one event for each text; its id is its text."""
    events = [Event(log, "stdout", moment(number), id=log) for number, log in enumerate(logs)]
    return Batch(of or container(), events, size, START, owner or Owner(), again)


class Names:
    """Remembers names of generations as the store does, but not beyond this object."""

    def __init__(self) -> None:
        self.given: list[tuple[bytes, int]] = []

    def name(
        self, fingerprint: bytes, inode: int, others: Sequence[tuple[int, str]], *, moved: bool, renewed: bool
    ) -> str:
        self.given.append((fingerprint, inode))
        return f"g{len(self.given)}"

    def between(self, before: str, after: str) -> list[str]:
        return []

    def known(self) -> frozenset[str]:
        return frozenset(f"g{number}" for number in range(1, len(self.given) + 1))


class RequestMemory:
    """A request sink that keeps what it takes; ``plan`` is asked first and may raise or answer."""

    def __init__(
        self,
        plan: Callable[[Sequence[Entry], bool], Answer | None] = lambda _entries, _again: None,
        most_events: int = 1000,
        most_bytes: int = 1_000_000,
    ) -> None:
        self.most_bytes = most_bytes
        self.most_events = most_events
        self.stored: list[Event] = []
        self.requests: list[tuple[list[str], bool]] = []
        self.closed = False
        self._plan = plan

    def encode(self, batch: Batch) -> list[Entry]:
        return [Entry(batch, at, event.log.encode()) for at, event in enumerate(batch.events)]

    def send(self, entries: Sequence[Entry], *, again: bool) -> Answer:
        self.requests.append(([entry.data.decode() for entry in entries], again))
        answer = self._plan(entries, again) or Answer()
        kept_out = {*answer.rejected, *answer.again}
        self.stored += [entry.event for at, entry in enumerate(entries) if at not in kept_out]
        return answer

    def close(self) -> None:
        self.closed = True


def _everything(sent: list[Parcel]) -> Iterable[str]:
    return [parcel.id for parcel in sent]


class WindowMemory:
    """A window sink; its peer confirms what ``answer`` picks from the parcels of this connection.

    ``refuse`` is asked for each line that is encoded, and gives the reason why it will never be stored.
    """

    def __init__(
        self,
        answer: Callable[[list[Parcel]], Iterable[str]] = _everything,
        window: int = 4,
        most_bytes: int = 100,
        answer_seconds: float = 30.0,
    ) -> None:
        self.window = window
        self.most_bytes = most_bytes
        self.answer_seconds = answer_seconds
        self.answer = answer
        self.refuse: Callable[[str], str | None] = lambda _log: None
        self._refusals: dict[str, list[Refusal]] = {}
        self.connections: list[list[Parcel]] = []
        self.closed = 0
        self.trouble = ""
        self.on_connect: Callable[[], None] = lambda: None
        self.on_send: Callable[[Parcel], None] = lambda _parcel: None

    def encode(self, batches: Sequence[Batch]) -> list[Parcel]:
        texts = [event.log for batch in batches for event in batch.events]
        parcel = Parcel("+".join(texts), "\n".join(texts).encode())
        self._refusals[parcel.id] = [
            Refusal(batch, index, reason)
            for batch in batches
            for index, event in enumerate(batch.events)
            if (reason := self.refuse(event.log))
        ]
        return [parcel] if texts else []

    def connect(self) -> None:
        self.on_connect()
        self.connections.append([])

    def send(self, parcel: Parcel) -> None:
        self.connections[-1].append(parcel)
        self.on_send(parcel)

    def confirmed(self, wait: float) -> list[Confirmation]:
        found = list(self.answer(self.connections[-1]))
        if not found:
            threading.Event().wait(min(wait, _POLL_SECONDS))
        return [Confirmation(each, self._refusals.get(each, ())) for each in found]

    def close(self) -> None:
        self.closed += 1


def until(true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the function returns something true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "what was waited for has not come"
        time.sleep(_POLL_SECONDS)
