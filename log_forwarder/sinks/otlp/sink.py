"""The ``otlp`` sink: records to an OpenTelemetry Collector, or to whoever takes OTLP over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from compose_agent.config import kinds
from compose_agent.errors import ConfigError
from log_forwarder.event import Batch
from log_forwarder.sinks import http
from log_forwarder.sinks.contract import Answer, Entry, SinkContext, SinkKind
from log_forwarder.sinks.http import Response, checked, client_of
from log_forwarder.sinks.otlp.answers import partial_success, refused
from log_forwarder.sinks.otlp.encode import Encoder
from log_forwarder.sinks.requests import Poster, headers_of
from log_forwarder.sinks.word import SinkWord

logger = logging.getLogger(__name__)

DEFAULT_PATH = "/v1/logs"
# With metadata lines of 200 bytes grow by half: far below the 20 MiB that a Collector takes at once.
MOST_BYTES = 1 << 20
MOST_EVENTS = 8000


class OtlpSink:
    """Sends requests of some thousand records; ``headers`` gives those from a file, also after a 401.

    A receiver that takes a part of a request (``partial_success``) says how many records it did not take,
    and not which. They count as stored, and the log tells of them: sent again, the others would come twice.
    Only if it took none is it known which ones they are.
    """

    most_bytes = MOST_BYTES
    most_events = MOST_EVENTS

    def __init__(self, poster: Poster, encoder: Encoder, headers: Callable[[], Mapping[str, str]]) -> None:
        self.not_taken = 0  # records, of requests that were taken in part
        self._poster = poster
        self._encoder = encoder
        self._headers = headers
        self._from_file = headers()

    def encode(self, batch: Batch) -> list[Entry]:
        """Return a record for each event."""
        return self._encoder.encode(batch)

    def send(self, entries: Sequence[Entry], *, again: bool) -> Answer:
        """Send one request."""
        response = self._poster.post(self._encoder.request(entries), self._from_file)
        if response.status == 401:
            self._renew()
        if not 200 <= checked(response).status < 300:
            raise refused(response)
        return self._taken(response, entries)

    def close(self) -> None:
        """Close the connection."""
        self._poster.close()

    def _taken(self, response: Response, entries: Sequence[Entry]) -> Answer:
        partial = partial_success(response)
        if partial.rejected >= len(entries):
            reason = partial.reason or "rejected by the receiver"
            return Answer(rejected=dict.fromkeys(range(len(entries)), reason))
        if partial.rejected > 0:
            self.not_taken += partial.rejected
            extra = {"server": response.server, "rejected": partial.rejected, "of": len(entries)}
            logger.warning("records were not taken", extra={**extra, "reason": partial.reason})
        return Answer()

    def _renew(self) -> None:
        try:
            self._from_file = self._headers()
        except ConfigError:
            return  # the file is being replaced: what was in it goes on


def make(word: SinkWord, context: SinkContext) -> OtlpSink:
    """Return the sink of a word; raises ConfigError."""
    compress = word.read("compress", kinds.choice("gzip", "none"), "gzip")
    path = word.path if word.path.strip("/") else DEFAULT_PATH
    client = client_of(word, tls=word.scheme.endswith("+https"))
    poster = Poster(client, quote(path), "application/x-protobuf", compress=compress == "gzip")
    return OtlpSink(poster, Encoder(context.host), lambda: headers_of(word, "header-file"))


SINK = SinkKind(
    name="otlp",
    schemes=("otlp", "otlp+https"),
    help=f"OpenTelemetry Collector and others that take OTLP over HTTP, at {DEFAULT_PATH} or the path given.",
    options={
        "compress": "gzip (default) or none.",
        "header-file": "File with further headers of every request, one such as 'X-Key: secret' a line.",
        **http.OPTIONS,
    },
    make=make,
)
