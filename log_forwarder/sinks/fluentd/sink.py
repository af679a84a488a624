"""The sink: parcels out, acknowledgements in, over a connection to one of its servers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from compose_agent.errors import ConfigError
from log_forwarder.event import Batch
from log_forwarder.sinks.contract import (
    Confirmation,
    Parcel,
    SinkContext,
    SinkKind,
    SinkUnavailable,
)
from log_forwarder.sinks.failover import FailOver
from log_forwarder.sinks.fluentd import handshake
from log_forwarder.sinks.fluentd.connection import Link
from log_forwarder.sinks.fluentd.encode import Run, parcels
from log_forwarder.sinks.fluentd.options import OPTIONS, SCHEMES, FluentdOptions
from log_forwarder.sinks.fluentd.shapes import Shapes
from log_forwarder.sinks.servers import Server
from log_forwarder.sinks.word import SinkWord

# With metadata 200-byte lines double in size: parcels of about a megabyte.
MOST_SOURCE_BYTES = 512 * 1024


class FluentdSink:
    """A window sink of the forward protocol; ``now`` is a monotonic clock in seconds."""

    trouble = ""

    def __init__(self, options: FluentdOptions, host: str, now: Callable[[], float] = time.monotonic) -> None:
        self.most_bytes = MOST_SOURCE_BYTES
        self.window = options.window
        self.answer_seconds = options.ack_seconds
        self._options = options
        self._shapes = Shapes(options.tag, host)
        self._links = FailOver(options.servers, self._opened, now)
        self._unconfirmed: set[str] = set()

    def encode(self, batches: Sequence[Batch]) -> list[Parcel]:
        """Return parcels of one tag each."""
        by_tag: dict[str, list[Run]] = {}
        for batch in batches:
            shape = self._shapes.of(batch.container)
            by_tag.setdefault(shape.tag, []).append(Run(shape, batch.events))
        compression = self._options.compression
        return [parcel for tag, runs in by_tag.items() for parcel in parcels(tag, runs, compression)]

    def connect(self) -> None:
        """Connect to the next server that can be had, and log in."""
        self._unconfirmed.clear()
        self._links.connect()

    def send(self, parcel: Parcel) -> None:
        """Send a parcel; while nothing is unconfirmed, see to the connection before."""
        if not self._unconfirmed:
            self._links.freshen(lambda: self.confirmed(0))
        self._unconfirmed.add(parcel.id)
        self._links.use(lambda link: link.send(parcel.data), unconfirmed=True)

    def confirmed(self, wait: float) -> list[Confirmation]:
        """Return the acknowledged chunks."""
        ids = self._links.use(
            lambda link: [_acknowledged(each) for each in link.receive(wait)],
            unconfirmed=bool(self._unconfirmed),
        )
        self._unconfirmed.difference_update(ids)
        return [Confirmation(each) for each in ids]

    def close(self) -> None:
        """Close the connection, if any; what is unconfirmed stays so."""
        self._links.close()
        self._unconfirmed.clear()

    def _opened(self, server: Server, seconds: float) -> Link:
        try:
            credentials = self._options.credentials()
            link = Link.open(server, self._options.tls, seconds)
        except ConfigError as error:  # a file that was in order when the sink was made
            raise SinkUnavailable(error.message) from error
        try:
            if credentials is not None:
                _log_in(link, credentials, seconds)
        except BaseException:
            link.close()
            raise
        return link


def _log_in(link: Link, credentials: handshake.Credentials, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    salt = os.urandom(handshake.SALT_BYTES)
    try:
        hello = handshake.read_helo(link.await_message(deadline, "HELO, which a shared key needs"))
        link.send(handshake.ping(hello, credentials, salt), seconds)
        handshake.check_pong(link.await_message(deadline, "PONG"), hello, credentials, salt)
    except SinkUnavailable as error:
        raise SinkUnavailable(f"login at {link.server}: {error.message}", remedy=error.remedy) from error


def _acknowledged(message: object) -> str:
    """Return the id in an acknowledgement; SinkUnavailable for anything else."""
    match message:
        case {b"ack": bytes(chunk)}:
            return chunk.decode("utf-8", "replace")
    if handshake.is_helo(message):
        raise SinkUnavailable("the server asks for a shared key", remedy="set shared-key-file=")
    raise SinkUnavailable(
        "the server sent something that is no acknowledgement",
        remedy="check the address, and whether it needs tls=1",
    )


def _make(word: SinkWord, context: SinkContext) -> FluentdSink:
    return FluentdSink(FluentdOptions.read(word, context), context.host)


SINK = SinkKind(
    name="fluentd",
    schemes=SCHEMES,
    help="Fluentd and Fluent Bit: forward protocol with acknowledgements, gzip, TLS, shared key, fail-over.",
    options=OPTIONS,
    make=_make,
)
