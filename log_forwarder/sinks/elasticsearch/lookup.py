"""Which events are stored already, anywhere in a data stream.

A data stream is a row of backing indices, and an id is unique within one of them only: after a roll-over the
same document is taken a second time. So before events are sent again whose answer was not seen, their ids are
looked up in every backing index.

``_mget`` reads what was written a moment ago, which a search would not before the next refresh. Privileges:
``view_index_metadata`` and ``read`` on the stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from compose_agent.typed import json_decoder
from log_forwarder.sinks.contract import RequestTooLarge, SinkUnavailable
from log_forwarder.sinks.elasticsearch.answers import Error
from log_forwarder.sinks.elasticsearch.options import Target
from log_forwarder.sinks.http import HttpClient, Response, checked

# A request that we gave up may still be at work: a frozen server that thaws reads it from its buffers.
# Measured from the first answer after the failure; a bulk takes some ten milliseconds.
SETTLE_SECONDS = 1.0
# Ids in one request; some 40 bytes each, so that a portion stays far below any limit of size.
PORTION = 1000
_JSON = {"Content-Type": "application/json"}
# The index was closed or deleted; what may be in it can be neither seen nor stored twice where anyone looks.
_GONE = ("index_closed_exception", "index_not_found_exception")
_FOUND_PATH = "docs._id,docs.found,docs.error.type,docs.error.reason"


class _Index(msgspec.Struct):
    index_name: str


class _Stream(msgspec.Struct):
    indices: list[_Index]


class _Streams(msgspec.Struct):
    data_streams: list[_Stream]


class _Document(msgspec.Struct, gc=False):
    id: str = msgspec.field(name="_id")
    found: bool = False
    error: Error | None = None


class _Documents(msgspec.Struct):
    docs: list[_Document] = []


_read_streams = json_decoder(_Streams).decode
_read_documents = json_decoder(_Documents).decode


class Lookup:
    """Looks ids up in the data stream ``target``; ``sleep`` passes the time until the server has settled."""

    def __init__(
        self,
        client: HttpClient,
        target: Target,
        *,
        settle_seconds: float = SETTLE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._target = target
        self._settle_seconds = settle_seconds
        self._sleep = sleep
        self._settled = False

    def disturb(self) -> None:
        """Note that a request was sent whose end was not seen."""
        self._settled = False

    def missing(self, ids: Sequence[str]) -> list[int]:
        """Return the places of the ids that are in no backing index; raises SinkUnavailable."""
        indices = self.backing_indices()
        if not self._settled:
            self._sleep(self._settle_seconds)
            indices = self.backing_indices()  # it may have rolled over meanwhile
            self._settled = True
        places = range(len(ids))
        return [
            place
            for start in range(0, len(ids), PORTION)
            for place in self._missing(ids, list(places[start : start + PORTION]), indices)
        ]

    def backing_indices(self) -> list[str]:
        """Return the backing indices, the newest first; none while there is no such stream."""
        response = self._ask("GET", f"/_data_stream/{self._target.name}", None)
        if response.status == 404:
            return []
        try:
            streams = _read_streams(response.body).data_streams if response.status == 200 else None
        except msgspec.MsgspecError:
            streams = None
        if streams is None:
            raise _unreadable(response)
        return [each.index_name for stream in streams for each in reversed(stream.indices)]

    def _missing(self, ids: Sequence[str], places: list[int], indices: Sequence[str]) -> list[int]:
        for index in indices:
            if not places:
                break
            found = self._found(index, [ids[place] for place in places])
            places = [place for place in places if ids[place] not in found]
        return places

    def _found(self, index: str, ids: Sequence[str]) -> set[str]:
        body = msgspec.json.encode({"ids": ids})
        response = self._ask("POST", f"/{index}/_mget?_source=false&filter_path={_FOUND_PATH}", body)
        if response.status == 404:
            return set()
        try:
            documents = _read_documents(response.body).docs if response.status == 200 else None
        except msgspec.MsgspecError:
            documents = None
        if documents is None or len(documents) != len(ids):
            raise _unreadable(response)
        for document in documents:
            if document.error is not None and document.error.type not in _GONE:
                raise SinkUnavailable(f"{index} cannot be looked into ({document.error})")
        return {document.id for document in documents if document.found}

    def _ask(self, method: str, path: str, body: bytes | None) -> Response:
        try:
            return checked(
                self._client.request(method, self._target.prefix + path, body, _JSON if body else None)
            )
        except RequestTooLarge as error:
            raise SinkUnavailable(str(error), remedy="let the proxy pass requests of 1 MB") from error


def _unreadable(response: Response) -> SinkUnavailable:
    return SinkUnavailable(
        f"{response.server} did not say which events it has ({response.status} {response.excerpt})",
        remedy="check that it is Elasticsearch 7.9 or OpenSearch 1.0, or newer",
    )
