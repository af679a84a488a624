"""The connection to an Engine: version negotiation, a deadline on every call, errors that say what to do."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.failures import decoded, outcome_of, translate
from compose_agent.dockerd.spans import engine_span, traced_headers
from compose_agent.errors import (
    EngineError,
    EngineGarbage,
    EngineNotFound,
    EngineRefused,
    EngineUnreachable,
    EngineUnsupported,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from compose_agent.dockerd.passage import Passage

# The oldest API spoken (Engine 20.10) and the newest whose answers were read and tested (Engine 28).
MIN_API_VERSION = (1, 41)
MAX_API_VERSION = (1, 51)
# Answers of a healthy Engine take milliseconds; one that lists thousands of containers takes seconds.
CALL_TIMEOUT_SECONDS = 10.0
# A ping does no work in the Engine: whoever does not answer it in this time is hanging.
PING_TIMEOUT_SECONDS = 2.0
# One connection for each thread that calls: inspectors, heartbeat, event stream, reconcile, and two dozen
# that ask for stats. More would be opened and thrown away at each call.
POOL_SIZE = 32
_API_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")

Observer = Callable[[str, float, str], None]
J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class Ping:
    """What ``/_ping`` tells: the Engine's own API version, and ``Server`` as it names itself."""

    api_version: str
    server: str


class EngineConnection:
    """Requests to one Engine. Thread-safe; nothing is sent before the first.

    ``observe(call, seconds, outcome)`` hears of each call, with outcome ``ok`` or the error's class name
    in snake case. ``connections`` are kept at most. Every method raises an :class:`EngineError`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        observe: Observer | None = None,
        timeout: float = CALL_TIMEOUT_SECONDS,
        connections: int = POOL_SIZE,
    ) -> None:
        self.endpoint = endpoint
        self.api_version: str | None = None
        self._observe = observe or _unobserved
        self._timeout = timeout
        self._connections = connections
        self._session: tuple[requests.Session, str] | None = None
        self._connecting = threading.Lock()
        self._closed = False

    def negotiate(self) -> Ping:
        """Ping the Engine and settle on the newest API version that both speak."""
        ping = self.ping()
        self.api_version = negotiated_version(ping.api_version)
        return ping

    def ping(self) -> Ping:
        """Ask for life and API version, in at most :data:`PING_TIMEOUT_SECONDS`."""
        with self._call("ping"), self._get("/_ping", timeout=PING_TIMEOUT_SECONDS) as response:
            self._checked(response).content  # noqa: B018 - read to its end, so that the connection is kept
            version = response.headers.get("Api-Version", "")
            if not version:
                raise EngineGarbage(f"{self.endpoint.host} is no Docker Engine: no Api-Version in its answer")
            return Ping(version, response.headers.get("Server", ""))

    def exchange(
        self,
        call: str,
        method: str,
        path: str,
        read: Callable[[requests.Response], J],
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> J:
        """Send one request, and return what ``read`` makes of the answer: for calls that few have a use for.

        ``path`` is without the API version, which :meth:`negotiate` chose; ``call`` names the request for
        whoever observes. ``timeout`` is in seconds, for the whole answer.
        """
        with self._call(call), self._send(method, self._versioned(path), params, body, timeout) as response:
            return read(self._checked(response))

    def pass_on(self, method: str, path: str, query: Sequence[tuple[str, str]], timeout: float) -> Passage:
        """Ask what somebody else wants to know; whatever the Engine answers, its status too, is the answer.

        ``path`` has its version, or none; all of the answer must be there in ``timeout`` seconds, unless the
        passage is told to wait for ever. The caller judges what may be asked.
        """
        from compose_agent.dockerd.passage import Passage  # noqa: PLC0415 - only the broker passes on

        with self._call("pass_on"):
            session, url = self._connected()
            return Passage(
                session.request(
                    method,
                    url + path,
                    params=list(query),
                    headers={"Accept-Encoding": "identity"},
                    timeout=timeout,
                    stream=True,
                    allow_redirects=False,
                )
            )

    def close(self) -> None:
        """Close every connection for good; calls under way and later ones raise EngineUnreachable."""
        with self._connecting:
            self._closed = True
        if self._session is not None:
            self._session[0].close()

    def _json(self, call: str, path: str, shape: type[J], params: Mapping[str, str] | None = None) -> J:
        with self._call(call), self._get(self._versioned(path), params) as response:
            answer = decoded(self._checked(response))
            if not isinstance(answer, shape):
                raise EngineGarbage(
                    f"the Engine answered {call} with {type(answer).__name__}, not {shape.__name__}"
                )
            return answer

    def _do(
        self,
        call: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        with self._call(call), self._send(method, self._versioned(path), params, body, timeout) as response:
            self._checked(response).content  # noqa: B018 - read to its end, so that the connection is kept

    def _versioned(self, path: str) -> str:
        if self.api_version is None:
            self.negotiate()
        return f"/v{self.api_version}{path}"

    def _get(
        self, path: str, params: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> requests.Response:
        return self._send("GET", path, params, timeout=timeout)

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> requests.Response:
        session, url = self._connected()
        return session.request(
            method,
            url + path,
            params=params,
            json=body,
            headers=traced_headers(),
            timeout=timeout or self._timeout,
            stream=True,
        )

    def _connected(self) -> tuple[requests.Session, str]:
        """Return what sends requests, and the URL that their paths come behind."""
        with self._connecting:
            if self._closed:
                raise EngineUnreachable(f"the connection to {self.endpoint.host} is closed")
            if self._session is None:
                self._session = _session(self.endpoint, self._timeout, self._connections)
            return self._session

    def _checked(self, response: requests.Response) -> requests.Response:
        if response.status_code < 400:
            return response
        body = decoded(response)
        message = str(body.get("message") or body.get("cause") or "") if isinstance(body, dict) else ""
        text = f"the Engine answered {response.status_code} to {response.request.path_url}: {message}"
        kind = EngineNotFound if response.status_code == 404 else EngineRefused
        raise kind(text, status=response.status_code)

    @contextmanager
    def _call(self, call: str) -> Iterator[None]:
        with engine_span(call, self.endpoint.host):
            yield from self._observed(call)

    def _observed(self, call: str) -> Iterator[None]:
        started = time.monotonic()
        outcome = "ok"
        try:
            yield
        except (OSError, ValueError) as error:
            translated = translate(error, self.endpoint, call)
            outcome = outcome_of(translated)
            raise translated from error
        except EngineError as error:
            outcome = outcome_of(error)
            raise
        finally:
            self._observe(call, time.monotonic() - started, outcome)


def _unobserved(call: str, seconds: float, outcome: str) -> None:
    """Take no notice."""


def negotiated_version(engine: str) -> str:
    """Return the newest API version that this client and an Engine that speaks up to ``engine`` share."""
    match = _API_VERSION.fullmatch(engine)
    if not match:
        raise EngineGarbage(f"the Engine calls its API version '{engine}'")
    major, minor = int(match[1]), int(match[2])
    if (major, minor) < MIN_API_VERSION:
        raise EngineUnsupported(
            f"the Engine speaks API {engine} and this agent needs {_dotted(MIN_API_VERSION)} or newer",
            remedy="upgrade Docker to 20.10 or newer",
        )
    return _dotted(min((major, minor), MAX_API_VERSION))


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _session(endpoint: Endpoint, timeout: float, connections: int) -> tuple[requests.Session, str]:
    """Return what sends requests, and the URL of the Engine; none is sent here."""
    if endpoint.socket_path:
        from compose_agent.dockerd.transport import UnixSession  # noqa: PLC0415 - not without an Engine

        return UnixSession(str(endpoint.socket_path), connections), UnixSession.url
    import docker  # noqa: PLC0415 - only where the Engine is reached by TCP or SSH

    try:
        # With a version, because without one the library would ask for it.
        client = docker.APIClient(
            base_url=endpoint.host,
            version=_dotted(MIN_API_VERSION),
            timeout=timeout,
            tls=endpoint.tls or False,
        )
    except docker.errors.DockerException as error:
        raise EngineUnreachable(f"no way to the Engine at {endpoint.host} ({error})") from error
    return client, client.base_url
