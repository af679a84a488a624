"""A container before and after a call: what every verb on containers looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.moments import engine_time
from compose_agent.dockerd.verbs.contract import Facts, Refused
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.errors import EngineGarbage, EngineNotFound

# What the Engine gives a container to stop when nobody says otherwise.
DEFAULT_STOP_SECONDS = 10
# A stop that takes longer is no remedy.
MAX_STOP_SECONDS = 3600
# What an answer to a stop or restart may take beyond the stop timeout: the Engine waits up to 10 s for the
# end of what it has killed, and a start takes seconds on a busy disk.
ANSWER_SECONDS = 30.0
# How the Engine marks a start that failed.
START_FAILED_EXIT_CODE = 128
_GONE = "there is no such container any more"


@dataclass(frozen=True, slots=True)
class Look:
    """A container as the Engine shows it; times are the Engine's own texts, only good to be compared."""

    id: str
    name: str
    running: bool
    paused: bool
    status: str
    started_at: str
    finished_at: str
    exit_code: int
    error: str
    raw: Mapping[str, Any]

    @property
    def labels(self) -> dict[str, str]:
        """The container's labels."""
        return dict((self.raw.get("Config") or {}).get("Labels") or {})

    def started_since(self, facts: Facts) -> bool:
        """Tell whether it was started after the facts were noted."""
        return bool(self.started_at != facts["started_at"])

    def start_failed_since(self, facts: Facts) -> bool:
        """Tell whether a start has failed since, of which the Engine sends no event."""
        failed = not self.running and bool(self.error or self.exit_code == START_FAILED_EXIT_CODE)
        before = (facts["finished_at"], facts["error"], facts["exit_code"])
        return failed and before != (self.finished_at, self.error, self.exit_code)

    @property
    def why(self) -> str:
        """What became of a container that does not run, in words."""
        return self.error or f"it has ended with exit code {self.exit_code}"


def look(client: EngineClient, container_id: str) -> Look | None:
    """Return the container as it is now, None when it is gone."""
    try:
        raw = client.inspect(container_id)
    except EngineNotFound:
        return None
    try:
        return _look(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise EngineGarbage(f"not a container: {type(error).__name__} {error}") from error


def must_look(client: EngineClient, request: VerbRequest) -> Look:
    """Return the request's container; raises Refused when there is none."""
    found = look(client, request.target)
    if found is None:
        raise Refused(f"there is no container {request.target}")
    return found


def facts_of(client: EngineClient, seen: Look, **more: Any) -> Facts:
    """Return what there is to compare with afterwards.

    The Engine's clock is read after the look, so that whatever happens from now on lies behind it; what
    happened in between only seems to be older.
    """
    return {
        "id": seen.id,
        "name": seen.name,
        "labels": seen.labels,
        "running": seen.running,
        "status": seen.status,
        "started_at": seen.started_at,
        "finished_at": seen.finished_at,
        "exit_code": seen.exit_code,
        "error": seen.error,
        "restart_count": seen.raw.get("RestartCount", 0),
        "engine_ns": engine_clock(client),
        **more,
    }


def stop_seconds(seen: Look, request: VerbRequest) -> int:
    """Return how long the container is given to stop: the argument ``timeout``, its own, or 10 s."""
    given = request.arguments.get("timeout")
    own = (seen.raw.get("Config") or {}).get("StopTimeout")
    chosen = next((each for each in (given, own) if each is not None), DEFAULT_STOP_SECONDS)
    if not isinstance(chosen, int) or isinstance(chosen, bool):
        raise Refused(f"the timeout '{chosen}' is no number of seconds")
    if not 0 <= chosen <= MAX_STOP_SECONDS:
        words = "has to be" if given is not None else f"is that of {seen.name}; give the action one"
        raise Refused(f"a stop timeout of {chosen} s {words} between 0 and {MAX_STOP_SECONDS} s")
    return chosen


def engine_clock(client: EngineClient) -> int:
    """Return the Engine's own time, in nanoseconds since the epoch."""
    info = client.info()
    if (time_ns := engine_time(info)) is None:
        raise EngineGarbage(f"the Engine calls its time '{info.get('SystemTime') or ''}'")
    return time_ns


def gone() -> str:
    """Return the words for a container that is not there any more."""
    return _GONE


def _look(raw: Mapping[str, Any]) -> Look:
    state = raw["State"]
    return Look(
        id=str(raw["Id"]),
        name=str(raw["Name"]).removeprefix("/"),
        running=bool(state["Running"]),
        paused=bool(state["Paused"]),
        status=str(state["Status"]),
        started_at=str(state["StartedAt"]),
        finished_at=str(state["FinishedAt"]),
        exit_code=int(state["ExitCode"]),
        error=str(state.get("Error") or ""),
        raw=raw,
    )
