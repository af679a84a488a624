"""The indices and data streams of the fake ``_bulk`` server, in memory."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
# What the built-in templates of the real servers make a data stream of.
_STREAM_PREFIX = "logs-"


@dataclass(slots=True)
class Faults:
    """What goes wrong, until it is set back; counts run down by themselves.

    ``poison`` tells which documents are refused for good; ``busy_percent`` of the items get 429,
    chosen by ``seed``. ``statuses`` are given to the next bulks in place of work, each with its headers.
    ``drop`` bulks are stored and then left without an answer; ``hang`` bulks are not even stored.
    ``late_seconds`` passes before each answer.
    """

    poison: Callable[[Document], bool] | None = None
    busy_percent: float = 0.0
    seed: int = 0
    most_bytes: int | None = None
    statuses: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    drop: int = 0
    hang: int = 0
    late_seconds: float = 0.0


class BulkStore:
    """Documents by index and id; a data stream is a list of indices, the last of which is written to."""

    def __init__(self, faults: Faults) -> None:
        self.indices: dict[str, dict[str, Document]] = {}
        self.streams: dict[str, list[str]] = {}
        self.items: Counter[int] = Counter()  # by status
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 - faults, not secrets
        self._lock = threading.RLock()

    def bulk(self, lines: Iterable[bytes], target: str) -> list[dict[str, Any]]:
        """Carry out actions and return their items, in order; ValueError for what cannot be read."""
        pairs = iter(lines)
        requests = []
        for action in pairs:
            ((operation, about),) = json.loads(action).items()
            requests.append((operation, about, next(pairs, b"")))
        with self._lock:
            return [{each[0]: self._item(*each, target)} for each in requests]

    def roll_over(self, stream: str) -> str:
        """Begin a new backing index and return its name; KeyError if there is no such stream."""
        with self._lock:
            self._add_backing_index(stream)
            return self.streams[stream][-1]

    def has(self, index: str, document_id: str) -> bool:
        """Tell whether an index has a document; KeyError if there is no such index."""
        with self._lock:
            return document_id in self.indices[index]

    def ids(self, target: str) -> list[str]:
        """Return the ids of all documents of a data stream or an index, as often as they are stored."""
        with self._lock:
            return [
                id_ for index in self.streams.get(target, [target]) for id_ in self.indices.get(index, {})
            ]

    def documents(self, target: str) -> list[Document]:
        """Return all documents of a data stream or an index."""
        with self._lock:
            indices = self.streams.get(target, [target])
            return [document for index in indices for document in self.indices.get(index, {}).values()]

    def _item(self, operation: str, about: Mapping[str, str], source: bytes, target: str) -> dict[str, Any]:
        name = about.get("_index", target)
        status, error = self._stored(operation, name, about["_id"], source)
        self.items[status] += 1
        item: dict[str, Any] = {"_index": name, "_id": about["_id"], "status": status}
        return item | ({"error": {"type": error[0], "reason": error[1]}} if error else {})

    def _stored(
        self, operation: str, name: str, id_: str, source: bytes
    ) -> tuple[int, tuple[str, str] | None]:
        if self._random.random() * 100 < self._faults.busy_percent:
            return 429, ("es_rejected_execution_exception", "rejected execution of primary operation")
        try:
            document = json.loads(source)
        except ValueError as error:
            return 400, ("mapper_parsing_exception", f"failed to parse: {error}")
        index = self._index_of(name)
        if wrong := self._wrong_with(operation, document, stream=name in self.streams):
            return 400, wrong
        if id_ in index:
            return 409, ("version_conflict_engine_exception", f"[{id_}]: document already exists")
        index[id_] = document
        return 201, None

    def _wrong_with(self, operation: str, document: Document, *, stream: bool) -> tuple[str, str] | None:
        if stream and operation != "create":
            return "illegal_argument_exception", "only write ops with an op_type of create are allowed"
        if stream and "@timestamp" not in document:
            return "mapper_parsing_exception", "data stream timestamp field [@timestamp] is missing"
        if self._faults.poison and self._faults.poison(document):
            return "mapper_parsing_exception", "failed to parse field [poison]"
        return None

    def _index_of(self, name: str) -> dict[str, Document]:
        if name.startswith(_STREAM_PREFIX):
            if name not in self.streams:
                self.streams[name] = []
                self._add_backing_index(name)
            return self.indices[self.streams[name][-1]]
        return self.indices.setdefault(name, {})

    def _add_backing_index(self, stream: str) -> None:
        backing = self.streams[stream]
        backing.append(f".ds-{stream}-{len(backing) + 1:06}")
        self.indices[backing[-1]] = {}
