"""The other end of the local interface: ask a role of this host over its unix socket."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compose_agent.deadline import connect_unix
from compose_agent.errors import ComposeAgentError, ConfigError, Problem
from compose_agent.web.health import HEALTHY_PATH, READY_PATH, Readiness
from compose_agent.web.places import RELOAD_PATH, socket_path
from compose_agent.web.propagation import outgoing_headers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# A role answers from memory; only a reload has work to do.
TIMEOUT_SECONDS = 5.0
# Far above any answer of a role; a garbled one does not fill the memory.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class RoleNotRunning(ComposeAgentError):
    """Nobody listens on the role's socket."""


class RoleRefused(ComposeAgentError):
    """The role answered, but not with what was asked for."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """What a role has answered, whatever its status."""

    status: int
    body: bytes
    kind: str  # its media type


class LocalClient:
    """Ask ``role`` on its socket in ``run_dir``, or at ``path``; each call has ``timeout`` seconds in all.

    Every call raises RoleNotRunning when nobody listens, RoleRefused on an unexpected status, and
    ComposeAgentError when there is no whole answer in time.
    """

    def __init__(
        self, run_dir: Path, role: str, timeout: float = TIMEOUT_SECONDS, *, path: Path | None = None
    ) -> None:
        self._path = path or socket_path(run_dir, role)
        self._role = role
        self._timeout = timeout

    def healthy(self) -> None:
        """Return when the process is alive."""
        self._expect(200, "GET", HEALTHY_PATH)

    def ready(self) -> Readiness:
        """Return what the role says of itself, ready or not."""
        status, body = self.request("GET", READY_PATH)
        if status not in {200, 503}:
            raise self._refused("GET", READY_PATH, status, body)
        data = self._decoded(body)
        try:
            return Readiness(
                role=data["role"],
                version=data["version"],
                revision=data["revision"],
                listeners=tuple(data["listeners"]),
                reasons=tuple(data["reasons"]),
            )
        except (KeyError, TypeError) as error:
            raise self._garbled() from error

    def reload(self, body: bytes = b"") -> int:
        """Have the role apply its configuration anew and return the revision; ConfigError when it refuses."""
        status, answer = self.request("POST", RELOAD_PATH, body)
        data = self._decoded(answer) if status in {200, 409} else {}
        try:
            if status == 409:
                raise ConfigError([Problem(one["where"], one["what"]) for one in data["errors"]])
            if status == 200:
                return int(data["revision"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._garbled() from error
        raise self._refused("POST", RELOAD_PATH, status, answer)

    def get_json(self, path: str) -> Any:
        """Return the JSON document at ``path``."""
        return self._decoded(self._expect(200, "GET", path))

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of an answer; carries the active trace."""
        answer = self.answer(method, path, body, headers)
        return answer.status, answer.body

    def answer(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> LocalAnswer:
        """Return an answer with the type of its body; carries the active trace."""
        connection = _Connection(self._path, self._timeout)
        try:
            connection.request(method, path, body, {**outgoing_headers(), **(headers or {})})
            with connection.getresponse() as response:
                data = response.read(MAX_ANSWER_BYTES + 1)
                if len(data) > MAX_ANSWER_BYTES:
                    raise self._garbled()
                return LocalAnswer(response.status, data, response.headers.get("Content-Type", ""))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise self._not_running() from error
        except TimeoutError as error:
            what = f"the role {self._role} did not answer on {self._path} within {self._timeout:g} s"
            raise ComposeAgentError(
                what, remedy="see its log; a restart of the role helps if it hangs"
            ) from error
        except PermissionError as error:
            what = f"this user may not use {self._path}"
            raise ComposeAgentError(what, remedy=f"run as a member of its group{self._group()}") from error
        except (http.client.HTTPException, OSError) as error:
            raise self._garbled() from error
        finally:
            connection.close()

    def _expect(self, wanted: int, method: str, path: str) -> bytes:
        status, body = self.request(method, path)
        if status != wanted:
            raise self._refused(method, path, status, body)
        return body

    def _decoded(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise self._garbled() from error

    def _refused(self, method: str, path: str, status: int, body: bytes) -> RoleRefused:
        first_line = body.decode("utf-8", "replace").partition("\n")[0][:200]
        return RoleRefused(
            f"the role {self._role} answered {method} {path} with {status} {first_line}".rstrip(),
            status=status,
        )

    def _not_running(self) -> RoleNotRunning:
        return RoleNotRunning(
            f"the role {self._role} is not running: nobody listens on {self._path}",
            remedy="start it with 'compose-agent run', or name its run directory with --run-dir",
        )

    def _garbled(self) -> ComposeAgentError:
        return ComposeAgentError(
            f"the answer of the role {self._role} on {self._path} was cut off or is not what it should be",
            remedy="see its log, and compare versions with 'compose-agent version'",
        )

    def _group(self) -> str:
        try:
            return f", gid {self._path.stat().st_gid}"
        except OSError:
            return ""


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket; ``timeout`` seconds are for everything together."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = connect_unix(self._path, self.timeout)
