"""The ``elasticsearch`` sink: documents to Elasticsearch or OpenSearch, each of them once."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from log_forwarder.event import Batch
from log_forwarder.sinks.contract import Answer, Entry, Sink, SinkContext, SinkUnavailable
from log_forwarder.sinks.elasticsearch.answers import FILTER_PATH, Sorted, refused_whole, sorted_out
from log_forwarder.sinks.elasticsearch.encode import Encoder
from log_forwarder.sinks.elasticsearch.lookup import Lookup
from log_forwarder.sinks.elasticsearch.options import Options, options_of
from log_forwarder.sinks.http import HttpClient, checked, client_of
from log_forwarder.sinks.requests import Poster
from log_forwarder.sinks.word import SinkWord

# 1 MiB of lines makes some 5 MB of documents, the size that both servers' makers recommend for a bulk.
MOST_BYTES = 1 << 20
MOST_EVENTS = 4000
# How long the server may wait for a shard; it has to answer before we give its answer up.
_SHARD_SECONDS = 20


class ElasticsearchSink:
    """Sends ``create`` actions with the events' ids; looks ids up before anything is sent again."""

    most_bytes = MOST_BYTES
    most_events = MOST_EVENTS

    def __init__(self, client: HttpClient, encoder: Encoder, options: Options, lookup: Lookup | None) -> None:
        self._poster = Poster(client, bulk_path(options), "application/x-ndjson", compress=options.compress)
        self._encoder = encoder
        self._lookup = lookup
        self._in_doubt = False

    def encode(self, batch: Batch) -> list[Entry]:
        """Return two lines for each event."""
        return self._encoder.encode(batch)

    def send(self, entries: Sequence[Entry], *, again: bool) -> Answer:
        """Store what is not stored yet."""
        try:
            places = self._missing(entries, again=again or self._in_doubt)
            if not places:
                return Answer()
            outcome = self._bulk([entries[place].data for place in places])
        except SinkUnavailable as error:
            if error.unseen and self._lookup:
                self._lookup.disturb()
            raise
        self._in_doubt = outcome.in_doubt
        return Answer(
            {places[index]: reason for index, reason in outcome.rejected.items()},
            [places[index] for index in outcome.again],
        )

    def close(self) -> None:
        """Close the connection."""
        self._poster.close()

    def _missing(self, entries: Sequence[Entry], *, again: bool) -> Sequence[int]:
        """Return the places of entries to be sent; within one index the server itself refuses what it has."""
        if not again or self._lookup is None:
            return range(len(entries))
        return self._lookup.missing([entry.event.id for entry in entries])

    def _bulk(self, lines: Sequence[bytes]) -> Sorted:
        response = checked(self._poster.post(b"".join(lines)))
        if response.status != 200:
            raise refused_whole(response.status, response.body)
        return sorted_out(response.body, len(lines))


def bulk_path(options: Options) -> str:
    """Return path and query of every bulk request."""
    target = options.target
    query = {"filter_path": FILTER_PATH, "timeout": f"{_SHARD_SECONDS}s"}
    if options.pipeline:
        query["pipeline"] = options.pipeline
    name = "" if target.kind == "dated" else f"/{quote(target.name)}"
    return f"{quote(target.prefix)}{name}/_bulk?{urlencode(query, safe=',*')}"


def make(word: SinkWord, context: SinkContext) -> Sink:
    """Return the sink of a word; raises ConfigError."""
    options = options_of(word)
    client = client_of(word, tls=word.scheme.endswith("+https"))
    lookup = Lookup(client, options.target) if options.target.kind == "stream" else None
    return ElasticsearchSink(client, Encoder(options.target, context.host), options, lookup)
