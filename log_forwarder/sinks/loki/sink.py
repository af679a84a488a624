"""The ``loki`` sink: a stream for each container and output, by the push API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from compose_agent.config import kinds
from log_forwarder.event import Batch
from log_forwarder.sinks import http
from log_forwarder.sinks.contract import (
    Answer,
    Entry,
    RequestTooLarge,
    SinkContext,
    SinkKind,
    SinkUnavailable,
)
from log_forwarder.sinks.http import Response, checked, client_of
from log_forwarder.sinks.loki.answers import Sent, refused_entries
from log_forwarder.sinks.loki.encode import Encoder
from log_forwarder.sinks.nanoseconds import nanoseconds
from log_forwarder.sinks.requests import Poster, headers_of
from log_forwarder.sinks.word import SinkWord

DEFAULT_PATH = "/loki/api/v1/push"
TENANT_HEADER = "X-Scope-OrgID"
# Loki takes 4 MB a second of a tenant by default, and Promtail and Alloy send 1 MB at once.
MOST_BYTES = 1 << 20
MOST_EVENTS = 8000


class LokiSink:
    """Sends pushes; what Loki calls too old or out of order is rejected, entry by entry where it says which.

    An entry that is sent again is dropped by Loki when time and line are those of one it has in memory.
    """

    most_bytes = MOST_BYTES
    most_events = MOST_EVENTS

    def __init__(self, poster: Poster, encoder: Encoder, headers: Mapping[str, str]) -> None:
        self._poster = poster
        self._encoder = encoder
        self._headers = headers

    def encode(self, batch: Batch) -> list[Entry]:
        """Return a value for each event."""
        return self._encoder.encode(batch)

    def send(self, entries: Sequence[Entry], *, again: bool) -> Answer:
        """Send one push."""
        response = checked(self._poster.post(self._encoder.request(entries), self._headers))
        if 200 <= response.status < 300:
            return Answer()
        if response.status == 400:
            return self._sorted_out(response, entries)
        raise SinkUnavailable(
            f"{response.server} answered {response.status} ({response.excerpt or 'nothing'})",
            remedy="check that the sink's address and path are those of Loki, and tenant=",
            unseen=response.status >= 500,
        )

    def close(self) -> None:
        """Close the connection."""
        self._poster.close()

    def _sorted_out(self, response: Response, entries: Sequence[Entry]) -> Answer:
        """Return what a refusal says of each entry; one that does not say it is halved."""
        sent = [Sent(self._encoder.stream(entry).text, nanoseconds(entry.event.time)) for entry in entries]
        rejected = refused_entries(response.body.decode("utf-8", "replace"), sent)
        if rejected is None:
            raise RequestTooLarge(f"{response.server} refuses the request (400 {response.excerpt})")
        # It may have refused more than it says; what it has it recognises.
        return Answer(rejected, [place for place in range(len(entries)) if place not in rejected])


def make(word: SinkWord, context: SinkContext) -> LokiSink:
    """Return the sink of a word; raises ConfigError."""
    compress = word.read("compress", kinds.choice("gzip", "none"), "gzip")
    metadata = word.read("structured-metadata", kinds.boolean, default=True)
    headers = dict(headers_of(word, "header-file"))
    if tenant := word.read("tenant", kinds.string, ""):
        if not tenant.isascii() or not tenant.isprintable():
            raise word.problem("tenant: expected a name in ASCII")
        headers[TENANT_HEADER] = tenant
    path = word.path if word.path.strip("/") else DEFAULT_PATH
    client = client_of(word, tls=word.scheme.endswith("+https"))
    poster = Poster(client, quote(path), "application/json", compress=compress == "gzip")
    return LokiSink(poster, Encoder(context.host, metadata=metadata), headers)


SINK = SinkKind(
    name="loki",
    schemes=("loki", "loki+https"),
    help=f"Grafana Loki, at {DEFAULT_PATH} or the path given; a stream for each container and output.",
    options={
        "tenant": "Tenant that the lines belong to; default: none, for a Loki without tenants.",
        "structured-metadata": "Whether lines carry their event_id (default true); older Lokis refuse it.",
        "compress": "gzip (default) or none.",
        "header-file": "File with further headers of every request, one such as 'X-Key: secret' a line.",
        **http.OPTIONS,
    },
    make=make,
)
