"""The ``logstash`` sink: windows of ECS documents out, acknowledgements and signs of life in."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence

from compose_agent import __version__
from compose_agent.errors import ConfigError
from log_forwarder.event import Batch
from log_forwarder.sinks.contract import (
    Confirmation,
    Parcel,
    SinkContext,
    SinkKind,
    SinkUnavailable,
)
from log_forwarder.sinks.ecs import Documents
from log_forwarder.sinks.elasticsearch.fields import to_json
from log_forwarder.sinks.failover import FailOver
from log_forwarder.sinks.logstash.frames import Acknowledgements, events_in, windows
from log_forwarder.sinks.logstash.options import OPTIONS, LogstashOptions
from log_forwarder.sinks.servers import Server
from log_forwarder.sinks.wire import Wire
from log_forwarder.sinks.word import SinkWord

# 200-byte lines become documents of five times that: windows of two thousand events.
MOST_SOURCE_BYTES = 512 * 1024
# What pipelines for Beats expect of an event, and do not store. With ``_id`` a pipeline can make its
# elasticsearch output store each event once: document_id => "%{[@metadata][_id]}".
_METADATA = b'{"@metadata":{"beat":"compose-agent","type":"_doc","version":%b,"_id":%%b},'


class _Link:
    """A connection, and what of the server's answers has arrived."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._acknowledgements = Acknowledgements()
        self.send = wire.send
        self.close = wire.close

    def numbers(self, wait: float) -> list[int]:
        """Return the numbers that were acknowledged, waiting up to ``wait`` seconds for the first."""
        return self._acknowledgements.feed(self._wire.receive(wait))


class LogstashSink:
    """A window sink of Lumberjack v2; ``now`` is a monotonic clock in seconds.

    A server that is busy acknowledges the number 0, or a part of the window, now and then: it lives and is
    waited for without end. ``answer_seconds`` is therefore infinite, and silence is noticed here.
    """

    most_bytes = MOST_SOURCE_BYTES
    answer_seconds = math.inf
    trouble = ""

    def __init__(
        self, options: LogstashOptions, host: str, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.window = options.window
        self._options = options
        self._documents = Documents(host)
        self._metadata = _METADATA % to_json(__version__)
        self._ids = itertools.count(1)
        self._links = FailOver(options.servers, self._opened, now)
        self._now = now
        self._unconfirmed: deque[tuple[str, int]] = deque()  # windows by id, with the number of their events
        self._heard = 0.0

    def encode(self, batches: Sequence[Batch]) -> list[Parcel]:
        """Return windows of some thousand events."""
        documents: list[bytes] = []
        for batch in batches:
            found = zip(batch.events, self._documents.encode(batch), strict=True)
            documents += (self._metadata % to_json(event.id) + each[1:] for event, each in found)
        made = windows(documents, compress=self._options.compress)
        return [Parcel(str(next(self._ids)), data) for data in made]

    def connect(self) -> None:
        """Connect to the next server that can be had."""
        self._unconfirmed.clear()
        self._links.connect()

    def send(self, parcel: Parcel) -> None:
        """Send a window; while nothing is unconfirmed, see to the connection before."""
        if not self._unconfirmed:
            self._links.freshen(lambda: self.confirmed(0))  # Logstash ends one that is idle for a minute
            self._heard = self._now()
        self._unconfirmed.append((parcel.id, events_in(parcel.data)))
        self._links.use(lambda link: link.send(parcel.data), unconfirmed=True)

    def confirmed(self, wait: float) -> list[Confirmation]:
        """Return the windows of which the last event was acknowledged."""
        numbers = self._links.use(lambda link: link.numbers(wait), unconfirmed=bool(self._unconfirmed))
        if numbers:
            self._heard = self._now()
        elif self._unconfirmed and self._now() - self._heard > self._options.silence_seconds:
            raise SinkUnavailable(
                f"no sign of life within {self._options.silence_seconds:g} s",
                remedy="look at the server's log",
                unseen=True,
            )
        return [Confirmation(done) for number in numbers if (done := self._settled(number))]

    def close(self) -> None:
        """Close the connection, if any; what is unconfirmed stays so."""
        self._links.close()
        self._unconfirmed.clear()

    def _settled(self, number: int) -> str:
        """Return the window that a number ends; nothing for 0, and for a part of the window."""
        parcel_id, count = self._unconfirmed[0] if self._unconfirmed else ("", 0)
        if number > count:
            raise SinkUnavailable(f"the server acknowledged event {number} of {count}", unseen=True)
        if not number or number < count:
            return ""
        self._unconfirmed.popleft()
        return parcel_id

    def _opened(self, server: Server, seconds: float) -> _Link:
        try:
            return _Link(Wire.open(server, self._options.tls, seconds))
        except ConfigError as error:  # a file that was in order when the sink was made
            raise SinkUnavailable(error.message) from error


def _make(word: SinkWord, context: SinkContext) -> LogstashSink:
    return LogstashSink(LogstashOptions.read(word), context.host)


SINK = SinkKind(
    name="logstash",
    schemes=("logstash",),
    help="Logstash's beats input and others like it: Lumberjack v2 with acknowledgements, TLS, fail-over.",
    options=OPTIONS,
    make=_make,
)
