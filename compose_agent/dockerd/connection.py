"""The connection to an Engine: version negotiation, a deadline on every call, errors that say what to do."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from compose_agent import __version__
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

    from compose_agent.dockerd.answer import Answer
    from compose_agent.dockerd.passage import Passage
    from compose_agent.dockerd.transport import Transport

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
_OWN_HEADERS = {"User-Agent": f"compose-agent/{__version__}", "Accept-Encoding": "identity"}
# What a verb is answered when there is nothing to do, such as the start of a container that runs.
_NOT_MODIFIED = 304
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
        self._transport: Transport | None = None
        self._connecting = threading.Lock()
        self._closed = False

    def negotiate(self) -> Ping:
        """Ping the Engine and settle on the newest API version that both speak."""
        ping = self.ping()
        self.api_version = negotiated_version(ping.api_version)
        return ping

    def ping(self) -> Ping:
        """Ask for life and API version, in at most :data:`PING_TIMEOUT_SECONDS`."""
        with self._call("ping"), self._get("/_ping", timeout=PING_TIMEOUT_SECONDS) as answer:
            self._checked(answer).read()  # to its end, so that the connection is kept
            version = answer.headers.get("Api-Version", "")
            if not version:
                raise EngineGarbage(f"{self.endpoint.host} is no Docker Engine: no Api-Version in its answer")
            return Ping(version, answer.headers.get("Server", ""))

    def exchange(
        self,
        call: str,
        method: str,
        path: str,
        read: Callable[[Answer], J],
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> J:
        """Send one request, and return what ``read`` makes of the answer: for calls that few have a use for.

        ``path`` is without the API version, which :meth:`negotiate` chose; ``call`` names the request for
        whoever observes. ``timeout`` is in seconds, for the whole answer.
        """
        with self._call(call), self._send(method, self._versioned(path), params, body, timeout) as answer:
            found = read(self._checked(answer))
            answer.read()  # to its end, so that the connection is kept
            return found

    def pass_on(self, method: str, path: str, query: Sequence[tuple[str, str]], timeout: float) -> Passage:
        """Ask what somebody else wants to know; whatever the Engine answers, its status too, is the answer.

        ``path`` has its version, or none; all of the answer must be there in ``timeout`` seconds, unless the
        passage is told to wait for ever. The caller judges what may be asked.
        """
        from compose_agent.dockerd.passage import Passage  # noqa: PLC0415 - only the broker passes on

        with self._call("pass_on"):
            return Passage(self._connected().send(method, _target(path, query), None, _OWN_HEADERS, timeout))

    def close(self) -> None:
        """Close every connection for good; calls under way and later ones raise EngineUnreachable."""
        with self._connecting:
            self._closed = True
        if self._transport is not None:
            self._transport.close()

    def _json(self, call: str, path: str, shape: type[J], params: Mapping[str, str] | None = None) -> J:
        with self._call(call), self._get(self._versioned(path), params) as answer:
            document = decoded(self._checked(answer))
            if not isinstance(document, shape):
                raise EngineGarbage(
                    f"the Engine answered {call} with {type(document).__name__}, not {shape.__name__}"
                )
            return document

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
        with self._call(call), self._send(method, self._versioned(path), params, body, timeout) as answer:
            self._checked(answer).read()  # to its end, so that the connection is kept

    def _versioned(self, path: str) -> str:
        if self.api_version is None:
            self.negotiate()
        return f"/v{self.api_version}{path}"

    def _get(
        self, path: str, params: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Answer:
        return self._send("GET", path, params, timeout=timeout)

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        headers = _OWN_HEADERS | traced_headers()
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body, allow_nan=False).encode()
        target = _target(path, (params or {}).items())
        return self._connected().send(method, target, data, headers, timeout or self._timeout)

    def _connected(self) -> Transport:
        with self._connecting:
            if self._closed:
                raise EngineUnreachable(f"the connection to {self.endpoint.host} is closed")
            if self._transport is None:
                from compose_agent.dockerd.transport import transport  # noqa: PLC0415 - not without an Engine

                self._transport = transport(self.endpoint, self._timeout, self._connections)
            return self._transport

    def _checked(self, answer: Answer) -> Answer:
        # A redirect is not followed: nothing was done, and no address of ours is one that has moved.
        if answer.status < 300 or answer.status == _NOT_MODIFIED:
            return answer
        body = decoded(answer)
        message = str(body.get("message") or body.get("cause") or "") if isinstance(body, dict) else ""
        message = message or answer.headers.get("Location", "")
        text = f"the Engine answered {answer.status} to {answer.target}: {message}"
        kind = EngineNotFound if answer.status == 404 else EngineRefused
        raise kind(text, status=answer.status)

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


def _target(path: str, query: Iterable[tuple[str, str]]) -> str:
    parameters = urlencode(list(query))
    return f"{path}?{parameters}" if parameters else path


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
