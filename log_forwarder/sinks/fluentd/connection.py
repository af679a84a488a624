"""Messages of the forward protocol over one connection."""

from __future__ import annotations

import time
from typing import Any, Self

import msgpack

from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.servers import Server
from log_forwarder.sinks.tls import TlsOptions
from log_forwarder.sinks.wire import CONNECT_SECONDS, SEND_SECONDS, Wire

# Acknowledgements and the login take some hundred bytes; whoever sends more speaks another protocol.
_MOST_ANSWER_BYTES = 1024 * 1024


class Link:
    """An open connection; every failure is a SinkUnavailable that names the server."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        # Raw, because a nonce may travel as a string and be no text.
        self._unpacker = msgpack.Unpacker(raw=True, max_buffer_size=_MOST_ANSWER_BYTES)

    @classmethod
    def open(cls, server: Server, tls: TlsOptions | None, seconds: float = CONNECT_SECONDS) -> Self:
        """Connect within ``seconds``; raises SinkUnavailable."""
        return cls(Wire.open(server, tls, seconds))

    @property
    def server(self) -> Server:
        """The server at the other end."""
        return self._wire.server

    def send(self, data: bytes, seconds: float = SEND_SECONDS) -> None:
        """Send everything within ``seconds``."""
        self._wire.send(data, seconds)

    def receive(self, wait: float) -> list[Any]:
        """Return the messages that have come, waiting up to ``wait`` seconds for the first bytes."""
        try:
            self._unpacker.feed(self._wire.receive(wait))
            return list(self._unpacker)
        except (msgpack.UnpackException, ValueError) as error:
            raise SinkUnavailable(
                f"{self.server} answers in something that is not the forward protocol", remedy=self._wire.hint
            ) from error

    def await_message(self, deadline: float, what: str) -> Any:
        """Return the next message, alone; ``what`` says which one is awaited."""
        while (left := deadline - time.monotonic()) > 0:
            if messages := self.receive(left):
                return messages[0]
        raise SinkUnavailable(f"{self.server} sent no {what} in time")

    def close(self) -> None:
        """Close the connection, whatever its state."""
        self._wire.close()
