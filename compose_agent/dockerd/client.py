"""The Engine client: version negotiation, a deadline on every call, and errors that say what to do."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.failures import decoded, outcome_of, translate
from compose_agent.dockerd.logstream import LogStream
from compose_agent.dockerd.stream import EventStream, History, parse_history
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

    import docker
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


class EngineClient:
    """Calls to one Engine. Thread-safe; nothing is sent before the first call.

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
        self._session: docker.APIClient | None = None
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

    def version(self) -> dict[str, Any]:
        """Return ``GET /version``."""
        return self._json("version", "/version", dict)

    def info(self) -> dict[str, Any]:
        """Return ``GET /info``; costs the Engine some 7 ms."""
        return self._json("info", "/info", dict)

    def list_containers(self) -> list[dict[str, Any]]:
        """Return every container, stopped ones too, in the list's short form."""
        answer = self._json("container_list", "/containers/json", list, {"all": "1"})
        if not all(isinstance(each, dict) and isinstance(each.get("Id"), str) for each in answer):
            raise EngineGarbage("the Engine listed something that is no container")
        return answer

    def inspect(self, container_id: str) -> dict[str, Any]:
        """Return everything about one container; EngineNotFound when it is gone."""
        return self._json("container_inspect", f"/containers/{quote(container_id, safe='')}/json", dict)

    def stats(self, container_id: str) -> dict[str, Any]:
        """Return one sample of a container's usage. Before Engine 23.0.8 this takes the Engine a second."""
        path = f"/containers/{quote(container_id, safe='')}/stats"
        return self._json("container_stats", path, dict, {"stream": "0", "one-shot": "1"})

    def events(self, since: str | None = None) -> EventStream:
        """Open the stream of container events, from ``since`` (``seconds.nanoseconds`` of the Engine) on."""
        params = {"filters": '{"type":["container"]}'} | ({"since": since} if since else {})
        with self._call("events"):
            return EventStream(self._checked(self._get(self._versioned("/events"), params)))

    def past_events(self, since_ns: int, until_ns: int) -> History:
        """Return the events between two moments of the Engine's own clock that it still remembers.

        It answers at once when ``until_ns`` is past, and waits for that moment otherwise.
        """
        params = {"since": _moment(since_ns), "until": _moment(until_ns)}
        with self._call("events_past"), self._get(self._versioned("/events"), params) as response:
            return parse_history(self._checked(response).content)

    def logs(self, container_id: str, *, tty: bool, since: str) -> LogStream:
        """Open the stream of what a container has written since (``seconds.nanoseconds``) and will write.

        It ends when the container stops. EngineNotFound or EngineRefused (409) of one that is being removed,
        EngineRefused (501) with a log driver that keeps nothing to read.
        """
        path = self._versioned(f"/containers/{quote(container_id, safe='')}/logs")
        params = {"follow": "1", "stdout": "1", "stderr": "1", "timestamps": "1", "since": since}
        with self._call("container_logs"):
            return LogStream(self._checked(self._get(path, params)), tty=tty)

    def list_images(self) -> list[dict[str, Any]]:
        """Return every image that the Engine has."""
        answer = self._json("image_list", "/images/json", list)
        if not all(isinstance(each, dict) for each in answer):
            raise EngineGarbage("the Engine listed something that is no image")
        return answer

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Make a container and return its id; ``body`` is what the Engine's API takes, and pulls no image.

        EngineNotFound without the image, EngineRefused (409) when the name is taken.
        """
        with self._call("container_create"):
            with self._send("POST", self._versioned("/containers/create"), {"name": name}, body) as response:
                answer = decoded(self._checked(response))
            if not isinstance(answer, dict) or not isinstance(answer.get("Id"), str):
                raise EngineGarbage("the Engine gave a container that it made no id")
            return str(answer["Id"])

    def start(self, container_id: str, *, timeout: float | None = None) -> None:
        """Start a container; one that runs goes on. EngineRefused when its command cannot be run."""
        self._do("container_start", "POST", _container(container_id, "start"), timeout=timeout)

    def stop(self, container_id: str, stop_seconds: int, *, signal: str = "", timeout: float) -> None:
        """Send the stop signal, and SIGKILL after ``stop_seconds``; one that does not run stays so.

        The Engine answers when the container has stopped, so ``timeout`` must be longer than that. It goes
        on also when nobody waits for its answer any more.
        """
        self._do(
            "container_stop",
            "POST",
            _container(container_id, "stop"),
            _stopping(stop_seconds, signal),
            timeout=timeout,
        )

    def restart(self, container_id: str, stop_seconds: int, *, signal: str = "", timeout: float) -> None:
        """Stop a container as ``stop`` does and start it; EngineRefused when the start fails."""
        self._do(
            "container_restart",
            "POST",
            _container(container_id, "restart"),
            _stopping(stop_seconds, signal),
            timeout=timeout,
        )

    def kill(self, container_id: str, signal: str) -> None:
        """Send a signal; EngineRefused (409) when the container does not run."""
        self._do("container_kill", "POST", _container(container_id, "kill"), {"signal": signal})

    def pause(self, container_id: str) -> None:
        """Freeze a container; EngineRefused (409) when it does not run or is frozen already."""
        self._do("container_pause", "POST", _container(container_id, "pause"))

    def unpause(self, container_id: str) -> None:
        """Let a frozen container go on; EngineRefused when it is not frozen."""
        self._do("container_unpause", "POST", _container(container_id, "unpause"))

    def rename(self, container_id: str, name: str) -> None:
        """Give a container another name; EngineRefused (409) when that is taken."""
        self._do("container_rename", "POST", _container(container_id, "rename"), {"name": name})

    def remove(
        self,
        container_id: str,
        *,
        force: bool = True,
        volumes: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Remove a container with its log; ``volumes``: its anonymous volumes too; ``force``: kill it first.

        EngineRefused (409) without ``force`` when it runs.
        """
        params = {"force": str(int(force)), "v": str(int(volumes))}
        self._do("container_remove", "DELETE", _container(container_id), params, timeout=timeout)

    def create_exec(self, container_id: str, command: Sequence[str]) -> str:
        """Prepare a command in a running container and return its id; nothing runs yet.

        EngineRefused (409) when the container does not run.
        """
        path = self._versioned(_container(container_id, "exec"))
        with self._call("exec_create"), self._send("POST", path, body={"Cmd": list(command)}) as response:
            answer = decoded(self._checked(response))
            if not isinstance(answer, dict) or not isinstance(answer.get("Id"), str):
                raise EngineGarbage("the Engine gave a command that it prepared no id")
            return str(answer["Id"])

    def start_exec(self, exec_id: str) -> None:
        """Run a prepared command, without waiting for its end; a second time is refused (409)."""
        path = f"/exec/{quote(exec_id, safe='')}/start"
        self._do("exec_start", "POST", path, body={"Detach": True})

    def inspect_exec(self, exec_id: str) -> dict[str, Any]:
        """Return the state of a prepared command (``Running``, ``ExitCode``, ``Pid``); EngineNotFound."""
        return self._json("exec_inspect", f"/exec/{quote(exec_id, safe='')}/json", dict)

    def network_connect(self, network: str, container_id: str, endpoint: Mapping[str, Any]) -> None:
        """Put a container on a network; ``endpoint`` is an EndpointConfig (``Aliases``, ``IPAMConfig`` …).

        EngineRefused (403) when it is on it already.
        """
        body = {"Container": container_id, "EndpointConfig": dict(endpoint)}
        self._do("network_connect", "POST", f"/networks/{quote(network, safe='')}/connect", body=body)

    def network_disconnect(self, network: str, container_id: str) -> None:
        """Take a container off a network; EngineRefused (403) when it is not on it."""
        body = {"Container": container_id, "Force": False}
        self._do("network_disconnect", "POST", f"/networks/{quote(network, safe='')}/disconnect", body=body)

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
            session = self._connected()
            return Passage(
                session.request(
                    method,
                    session.base_url + path,
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
            self._session.close()

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
        session = self._connected()
        return session.request(  # type: ignore[no-any-return]
            method,
            session.base_url + path,
            params=params,
            json=body,
            timeout=timeout or self._timeout,
            stream=True,
        )

    def _connected(self) -> docker.APIClient:
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


def _container(container_id: str, verb: str = "") -> str:
    return f"/containers/{quote(container_id, safe='')}" + (f"/{verb}" if verb else "")


def _stopping(stop_seconds: int, signal: str) -> dict[str, str]:
    # Engines before 23 (API 1.42) take no notice of a signal here.
    return {"t": str(stop_seconds)} | ({"signal": signal} if signal else {})


def _moment(time_ns: int) -> str:
    return f"{time_ns // 10**9}.{time_ns % 10**9:09d}"


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


def _session(endpoint: Endpoint, timeout: float, connections: int) -> docker.APIClient:
    """Return the library's session; no request is sent here, because a version is given."""
    import docker  # noqa: PLC0415 - 20 MiB that a process without an Engine does not carry

    # The library takes no path with % or ? in it; the transport below has the real one.
    host = "unix:///engine.sock" if endpoint.socket_path else endpoint.host
    try:
        session = docker.APIClient(
            base_url=host, version=_dotted(MIN_API_VERSION), timeout=timeout, tls=endpoint.tls or False
        )
    except docker.errors.DockerException as error:
        raise EngineUnreachable(f"no way to the Engine at {endpoint.host} ({error})") from error
    if endpoint.socket_path:
        from compose_agent.dockerd.transport import UnixAdapter  # noqa: PLC0415

        session.mount("http+docker://", UnixAdapter(str(endpoint.socket_path), connections))
        session.trust_env = False  # no proxy and no .netrc on a unix socket
    return session
