"""What sinks that speak HTTP share: one client for several servers, its options, and what statuses mean.

The client has one connection at a time, which it keeps open. It follows no redirects and takes no proxy from
the environment: logs go where the word says, or nowhere. It tells apart what was certainly not stored (no
connection) from what may have been (the connection broke, or no answer came).
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

from compose_agent import __version__
from compose_agent.address import Address
from compose_agent.asking import retry_after, said
from compose_agent.config import kinds
from compose_agent.errors import ConfigError
from log_forwarder.sinks.contract import RequestTooLarge, SinkUnavailable
from log_forwarder.sinks.word import SinkWord

# A server in the same data centre accepts in milliseconds; one lost SYN is sent again after a second.
CONNECT_SECONDS = 5.0
# Longer than a server takes that collects garbage or elects a master, shorter than a person's patience.
ANSWER_SECONDS = 30.0
# The largest useful answer has some hundred bytes for each of some thousand events.
_MOST_ANSWER_BYTES = 64 << 20
_CHUNK_BYTES = 64 << 10
_EXCERPT = 200

OPTIONS = {
    "ca": "File of the authorities that the server's certificate is checked against (default: the system's).",
    "cert": "File of the client's certificate.",
    "key": "File of the certificate's private key, if it is not in the same file.",
    "insecure": "1 takes any certificate of the server.",
    "user": "Name for basic authentication.",
    "password-file": "File with the password of the user.",
    "api-key-file": "File with an API key, as id:key or encoded.",
    "token-file": "File with a bearer token.",
}
_TLS_OPTIONS = ("ca", "cert", "key", "insecure")
_BROKEN = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; ``server`` is the URL of who gave it, header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    server: str

    @property
    def excerpt(self) -> str:
        """The beginning of the body, for an error message."""
        return " ".join(self.body[:_EXCERPT].decode("utf-8", "replace").split())


class HttpClient:
    """Requests to the first of ``servers`` that can be reached; used by one thread.

    ``authorization`` gives the header's value, and is asked again after a 401, since credentials change.
    ``tls`` None means plain HTTP. After a failure the next server is asked first.
    """

    def __init__(
        self,
        servers: Sequence[Address],
        *,
        tls: ssl.SSLContext | None = None,
        authorization: Callable[[], str | None] = lambda: None,
        answer_seconds: float = ANSWER_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._servers = list(servers)
        self._tls = tls
        self._authorization = authorization
        self._answer_seconds = answer_seconds
        self._connect_seconds = connect_seconds
        self._headers = {"User-Agent": f"compose-agent/{__version__}", "Accept-Encoding": "identity"}
        self._authorize()
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None

    @property
    def server(self) -> str:
        """The URL of the server that is asked first."""
        return f"{'https' if self._tls else 'http'}://{self._servers[0]}"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return the answer, whatever its status; SinkUnavailable when there is none."""
        connection = self._connected()
        try:
            response = self._exchange(connection, method, path, body, {**self._headers, **(headers or {})})
        except _BROKEN as error:
            server = self.server
            self._give_up()
            raise SinkUnavailable(f"no answer from {server} ({said(error)})", unseen=True) from error
        if response.status == 401:
            self._authorize()
        if response.status in (502, 503, 504):
            self._give_up()
        return response

    def close(self) -> None:
        """Close the connection, if any; the next request opens another."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            # An answer that broke off holds the descriptor open.
            if self._socket is not None and self._socket.fileno() >= 0:
                socket.close(self._socket.detach())
            self._connection = self._socket = None

    def _connected(self) -> HTTPConnection:
        """Return a connection that is open; a failure here means that nothing was sent."""
        if self._connection is not None:
            # False also when the server closed it, or said something unasked.
            if self._connection.is_connected:
                return self._connection
            self.close()
        failures: dict[str, Exception] = {}
        for _ in self._servers:
            try:
                self._connection = self._open()
                self._socket = self._connection.sock
            except _BROKEN as error:
                failures[self.server] = error
                self._give_up()
            else:
                return self._connection
        raise _unreachable(failures)

    def _open(self) -> HTTPConnection:
        address = self._servers[0]
        host = address.host or "localhost"
        if self._tls is None:
            connection = HTTPConnection(host, address.port, timeout=self._connect_seconds)
        else:
            connection = HTTPSConnection(
                host, address.port, timeout=self._connect_seconds, ssl_context=self._tls
            )
        try:
            connection.connect()
        except _BROKEN:
            connection.close()
            raise
        return connection

    def _exchange(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Response:
        deadline = time.monotonic() + self._answer_seconds
        connection.timeout = self._answer_seconds
        connection.sock.settimeout(self._answer_seconds)
        # A server that refuses a large body answers, and closes before it has read it all.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body=body, headers=headers, preload_content=False)
        answer = connection.getresponse()
        data = b"".join(_within(deadline, answer))
        found = {name.lower(): text for name, text in answer.headers.items()}
        if found.get("connection", "").lower() == "close":
            self.close()
        return Response(answer.status, data, found, self.server)

    def _give_up(self) -> None:
        """Close the connection and turn to the next server."""
        self.close()
        self._servers.append(self._servers.pop(0))

    def _authorize(self) -> None:
        try:
            value = self._authorization()
        except ConfigError:
            return  # the file is being replaced: what was in it goes on
        self._headers.pop("Authorization", None)
        if value:
            self._headers["Authorization"] = value


def client_of(word: SinkWord, *, tls: bool, answer_seconds: float = ANSWER_SECONDS) -> HttpClient:
    """Return the client for a word with the options above; raises ConfigError and connects to nobody."""
    if not word.hosts:
        raise word.problem("it names no server")
    if not tls and (idle := [each for each in _TLS_OPTIONS if each in word.options]):
        raise word.problem(f"{idle[0]} has a meaning with https only")
    authorization = _authorization(word)
    authorization()  # whose file must be there at the start
    return HttpClient(
        word.hosts,
        tls=_context(word) if tls else None,
        authorization=authorization,
        answer_seconds=answer_seconds,
    )


def checked(response: Response) -> Response:
    """Return a response, or raise what its status means to any sink: SinkUnavailable, RequestTooLarge.

    Statuses whose meaning depends on the protocol (400, 404, 500 …) are left to the caller.
    """
    status, server = response.status, response.server
    if status == 413:
        raise RequestTooLarge(f"{server} takes no request of this size (413)")
    if status == 401:
        raise SinkUnavailable(
            f"{server} does not know who we are (401)",
            remedy="check user= and password-file=, api-key-file= or token-file=",
        )
    if status == 403:
        raise SinkUnavailable(
            f"{server} forbids it (403 {response.excerpt})", remedy="give the user the privileges it lacks"
        )
    if status in (429, 502, 503, 504):
        # A gateway's word says nothing about the server behind it.
        raise SinkUnavailable(
            f"{server} is busy or not ready ({status})",
            unseen=status != 429,
            retry_after=retry_after(response.headers.get("retry-after", "")),
        )
    if 300 <= status < 400:
        where = response.headers.get("location", "elsewhere")
        raise SinkUnavailable(f"{server} redirects to {where} ({status})", remedy="put that in its word")
    return response


def _within(deadline: float, answer: BaseHTTPResponse) -> Iterator[bytes]:
    size = 0
    for chunk in answer.stream(_CHUNK_BYTES):
        size += len(chunk)
        if time.monotonic() > deadline:
            raise TimeoutError("the answer takes too long")
        if size > _MOST_ANSWER_BYTES:
            raise OSError("the answer is too large")
        yield chunk


def _context(word: SinkWord) -> ssl.SSLContext:
    ca, cert, key = word.path_of("ca"), word.path_of("cert"), word.path_of("key")
    if key and not cert:
        raise word.problem("key needs cert")
    try:
        context = ssl.create_default_context(cafile=ca)
    except (ssl.SSLError, OSError) as error:
        raise word.problem(f"ca: {ca} holds no certificate ({said(error)})") from error
    try:
        if cert:
            context.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as error:
        raise word.problem(f"cert: {cert} and its key cannot be used ({said(error)})") from error
    if word.read("insecure", kinds.boolean, default=False):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _authorization(word: SinkWord) -> Callable[[], str | None]:
    """Return what reads the credentials of a word; ConfigError for more than one of them, or half of one."""
    given = [each for each in ("user", "api-key-file", "token-file") if each in word.options]
    if len(given) > 1:
        raise word.problem(f"{given[0]} and {given[1]} exclude each other")
    if ("user" in word.options) != ("password-file" in word.options):
        raise word.problem("user and password-file go together")

    def read() -> str | None:
        if key := word.secret("api-key-file"):
            return f"ApiKey {_encoded(key) if ':' in key else key}"
        if token := word.secret("token-file"):
            return f"Bearer {token}"
        if "user" in word.options:
            return "Basic " + _encoded(f"{word.options['user']}:{word.secret('password-file')}")
        return None

    return read


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _unreachable(failures: Mapping[str, Exception]) -> SinkUnavailable:
    reasons = ", ".join(f"{server} ({said(error)})" for server, error in failures.items())
    distrusted = any(_is_distrust(error) for error in failures.values())
    remedy = "give its authority with ca=" if distrusted else "check the address, and that it is running"
    return SinkUnavailable(f"cannot connect to {reasons}", remedy=remedy)


def _is_distrust(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error)
