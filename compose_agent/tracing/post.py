"""Sending one request to a collector, and what its answer means (OTLP specification 1.x, "OTLP/HTTP")."""

from __future__ import annotations

import gzip
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from compose_agent import __version__
from compose_agent.asking import TlsSocket, retry_after, said, with_deadline
from compose_agent.tracing.settings import Collector

# These say that the request is not what it should be; the same spans would be refused again.
_REFUSED = (400, 413, 422)
# Answers are a few bytes.
_MOST_ANSWER_BYTES = 64 << 10
_EXCERPT = 200
_FASTEST = 1
_BROKEN = (OSError, http.client.HTTPException, ValueError)
_HEADERS = {
    "User-Agent": f"compose-agent/{__version__}",
    "Content-Type": "application/x-protobuf",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """The collector has it; ``body`` is its answer, which may say that it did not take all."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never take this."""

    words: str


@dataclass(frozen=True, slots=True)
class Later:
    """It could not be reached, or is not able to take it now: not before ``after`` seconds if it said so."""

    words: str
    after: float = 0.0


Answer = Taken | Refused | Later


class Poster:
    """Sends requests over one connection, which is kept. Not thread-safe."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._url = urlsplit(collector.url)
        self._where = f"the collector at {self._url.scheme}://{self._url.hostname}:{self._port}"
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, timeout: float) -> Answer:
        """Send a request; all of it takes ``timeout`` seconds at most."""
        if self._collector.gzip:
            body = gzip.compress(body, _FASTEST)
        kept = self._connection is not None
        try:
            return self._posted(body, timeout)
        except _BROKEN as error:
            self.close()
            if not (kept and isinstance(error, ConnectionError)):
                return self._later(error)
        # The one that was kept had ended meanwhile.
        try:
            return self._posted(body, timeout)
        except _BROKEN as error:
            self.close()
            return self._later(error)

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _later(self, error: Exception) -> Later:
        return Later(f"{self._where} cannot be reached: {said(error)}")

    @property
    def _port(self) -> int:
        return self._url.port or (443 if self._url.scheme == "https" else 80)

    def _posted(self, body: bytes, timeout: float) -> Answer:
        if self._connection is None:
            self._connection = self._connected(timeout)
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        headers = {**_HEADERS, **self._headers()} | (
            {"Content-Encoding": "gzip"} if self._collector.gzip else {}
        )
        self._connection.request("POST", self._url.path or "/", body, headers)
        response = self._connection.getresponse()
        data = response.read(_MOST_ANSWER_BYTES)
        if not response.isclosed():
            self.close()
        return self._meaning(response.status, response.headers.get("Retry-After", ""), data)

    def _connected(self, timeout: float) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        if self._url.scheme != "https":
            return _Connection(host, self._port, timeout=timeout)
        trust = ssl.create_default_context(cafile=self._collector.ca)
        trust.sslsocket_class = TlsSocket
        if self._collector.certificate:
            trust.load_cert_chain(self._collector.certificate, self._collector.key)
        return _TlsConnection(host, self._port, timeout=timeout, context=trust)

    def _headers(self) -> Mapping[str, str]:
        path = self._collector.headers_file
        return {**(header_lines(path) if path else {}), **self._collector.headers}

    def _meaning(self, status: int, patience: str, body: bytes) -> Answer:
        if 200 <= status < 300:
            return Taken(body)
        words = f"{self._where} has answered {status} ({_excerpt(body)})"
        return Refused(words) if status in _REFUSED else Later(words, retry_after(patience))


def header_lines(path: Path) -> Mapping[str, str]:
    """Return the headers that stand in a file, ``name: value`` in each line; raises OSError, ValueError."""
    pairs = [line.partition(":") for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    if any(not colon or not name.strip() for name, colon, _ in pairs):
        raise ValueError(f"{path}: expected 'name: value' in each line")
    return {name.strip(): value.strip() for name, _, value in pairs}


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        super().connect()
        self.sock = with_deadline(self.sock, self.timeout)


class _TlsConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        plain = with_deadline(self.sock, self.timeout)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


def _excerpt(body: bytes) -> str:
    text = " ".join(body[:_EXCERPT].decode("utf-8", "replace").split())
    return text if text.isprintable() and text else "nothing"
