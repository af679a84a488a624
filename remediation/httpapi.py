"""One HTTP server of somebody else: asked with a deadline, and never anywhere else than where it is.

::

    api = HttpApi(Peer("Alertmanager", "http://127.0.0.1:9093", "check remediation.alertmanager.url"))
    answer = api.expect("GET", "/api/v2/silences")   # HttpError unless the answer is 2xx

Redirects are not followed and proxies of the environment are not used: what is sent may be secret. The trust
in https is the system's; ``SSL_CERT_FILE`` names other authorities.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as NoAnswer

from compose_agent import __version__
from compose_agent.asking import TlsSocket, said, with_deadline
from compose_agent.deadline import DeadlineSocket
from compose_agent.errors import ComposeAgentError, ConfigError, Problem
from compose_agent.web.propagation import outgoing_headers
from remediation.receiver.secretfile import SecretFile

# They answer from memory; who asks is about to act or to judge, and can ask again.
SECONDS = 5.0
# Tens of thousands of alerts or series.
MOST_BYTES = 32 << 20
# Several threads at once; more wait, or open a connection that is not kept.
_KEPT_CONNECTIONS = 3
_PIECE_BYTES = 64 << 10
_EXCERPT = 200
_OWN_HEADERS = {"User-Agent": f"compose-agent/{__version__}", "Accept-Encoding": "identity"}
_JSON = {"Content-Type": "application/json"}
_NOTHING: Mapping[str, str] = MappingProxyType({})


class HttpError(ComposeAgentError):
    """No whole answer (``status`` 0), or one that is not what was asked for."""

    def __init__(self, message: str, *, remedy: str | None = None, status: int = 0) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status

    @property
    def may_pass(self) -> bool:
        """Tell whether asking again may have another result."""
        return self.status == 0 or self.status >= 500


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is asked, as sentences name it, and the class of errors; ``remedy`` is what a person can do.

    ``url`` is where its API begins, without a query.
    """

    name: str
    url: str
    remedy: str
    error: type[HttpError] = HttpError

    def __str__(self) -> str:
        return f"{self.name} at {self.url}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server has answered, whatever its status."""

    status: int
    body: bytes


class HeaderFile:
    """A header with a secret value, the only line of a file that is read again when it changes.

    The constructor raises ConfigError when there is none; later a file that cannot be read, or says nothing,
    leaves the value before in force.
    """

    def __init__(self, path: Path, header: str = "Authorization") -> None:
        self._path = path
        self._header = header
        self._file = SecretFile(path)
        self()

    def __call__(self) -> Mapping[str, str]:
        """Return the header; raises ConfigError for a value that cannot be one."""
        lines = self._file.current()
        value = lines[0].decode("utf-8", "replace")
        if len(lines) > 1 or not value.isascii() or not value.isprintable():
            raise ConfigError(Problem(str(self._path), "expected one line of ASCII, the value of a header"))
        return {self._header: value}


def idempotency(key: str) -> Mapping[str, str]:
    """Return the header by which a server can tell that it is asked for the same once more."""
    return {"Idempotency-Key": key} if key else _NOTHING


def no_credentials() -> Mapping[str, str]:
    """Return no header."""
    return _NOTHING


class HttpApi:
    """A client for one server; a call takes about ``seconds`` at most. Thread-safe.

    ``credentials`` gives headers for each call anew; their values are in no error. ``most_bytes`` bounds an
    answer.
    """

    def __init__(
        self,
        peer: Peer,
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
        credentials: Callable[[], Mapping[str, str]] = no_credentials,
    ) -> None:
        self._peer = peer
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._credentials = credentials
        url = urlsplit(peer.url)
        self._prefix = url.path.rstrip("/")
        self._pool = _pool(url.scheme, url.hostname or "", url.port)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = _NOTHING
    ) -> Answer:
        """Return the answer to a request, whose body is JSON; raises the peer's error when there is none."""
        kind = _NOTHING if body is None else _JSON
        try:
            response = self._pool.urlopen(
                method,
                self._prefix + path,
                body=body,
                headers={**_OWN_HEADERS, **kind, **outgoing_headers(), **headers, **self._secret()},
                timeout=urllib3.Timeout(total=self._seconds),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                return Answer(response.status, self._read(response))
            finally:
                response.close()  # a connection whose answer was read to its end is kept all the same
        except HTTPError as error:
            raise self._unanswered(error) from error

    def expect(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = _NOTHING
    ) -> bytes:
        """Return the body of an answer with a status of 2xx; raises the peer's error."""
        answer = self.ask(method, path, body, headers)
        if not 200 <= answer.status < 300:
            raise self.unwanted(answer)
        return answer.body

    def unwanted(self, answer: Answer) -> HttpError:
        """Return the error for an answer that is not what was asked for, with its beginning."""
        return self.wrong(f"has answered {answer.status} ({self._excerpt(answer)})", answer.status)

    def wrong(self, what: str, status: int = 0) -> HttpError:
        """Return an error that says what the peer has done."""
        return self._peer.error(f"{self._peer} {what}", remedy=self._peer.remedy, status=status)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._pool.close()

    def _secret(self) -> Mapping[str, str]:
        try:
            return self._credentials()
        except ConfigError as error:
            raise self._peer.error(f"{self._peer} was not asked: {error.message}") from error

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        data = bytearray()
        while piece := response.read1(_PIECE_BYTES):
            data += piece
            if len(data) > self._most_bytes:
                raise self.wrong(f"has answered more than {self._most_bytes} bytes")
        return bytes(data)

    def _unanswered(self, error: HTTPError) -> HttpError:
        if isinstance(error, NoAnswer) and not isinstance(error, NewConnectionError):
            return self.wrong(f"has not answered within {self._seconds:g} s")
        return self.wrong(f"cannot be asked ({said(error)})")

    def _excerpt(self, answer: Answer) -> str:
        """Return the beginning of a body, without credentials that a server has sent back."""
        text = answer.body.decode("utf-8", "replace")
        for value in self._secret().values():
            for secret in (value, value.rpartition(" ")[2]):
                text = text.replace(secret, "***")
        return " ".join(text.split())[:_EXCERPT] or "nothing"


class _Connection(HTTPConnection):
    def _new_conn(self) -> DeadlineSocket:
        return with_deadline(super()._new_conn(), self.timeout)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> DeadlineSocket:
        return with_deadline(super()._new_conn(), self.timeout)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _pool(scheme: str, host: str, port: int | None) -> urllib3.HTTPConnectionPool:
    if scheme == "https":
        return _TlsPool(host, port, maxsize=_KEPT_CONNECTIONS, ssl_context=_trust())
    return _Pool(host, port, maxsize=_KEPT_CONNECTIONS)


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.sslsocket_class = TlsSocket
    return context
