"""What the fake Engine keeps in mind: containers, images, networks, volumes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

HealthStatus = Literal["none", "starting", "healthy", "unhealthy"]
Json = dict[str, Any]
MAX_HEALTH_LOG = 5  # the Engine keeps the last five probe results


def new_id() -> str:
    """Return 64 hexadecimal digits that are not all decimal, which the Engine avoids too."""
    return f"{secrets.choice('abcdef')}{secrets.token_hex(32)[1:]}"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a container's main process behaves; times in seconds.

    ``exit_after`` ends the process by itself, with ``exit_code``. ``start_error`` makes each start fail with
    these words. ``health`` is the state that its health check comes to, ``health_takes`` after each start
    (a container with a health check but without ``health`` stays ``starting`` until the test says more).
    ``pid`` lends it the id of a real process. ``exec_…`` is what commands run in it by ``exec`` do.
    """

    start_takes: float = 0.0
    stop_takes: float = 0.0
    kill_takes: float = 0.0
    ignores_term: bool = False
    term_exit_code: int = 0
    exit_after: float | None = None
    exit_code: int = 0
    start_error: str | None = None
    health: HealthStatus | None = None
    health_takes: float = 0.0
    pid: int | None = None
    exec_takes: float = 0.0
    exec_exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What ``stats`` says: cores used while running, and everything else as it stands."""

    cpu_cores: float = 0.01
    memory_bytes: int = 1_048_576
    cache_bytes: int = 0
    network_rx_bytes: int = 0
    network_tx_bytes: int = 0
    block_read_bytes: int = 0
    block_write_bytes: int = 0
    pids: int = 1
    throttled_periods: int = 0


@dataclass(slots=True)
class Health:
    """The state of a health check; ``log`` holds probe results in the Engine's shape."""

    status: HealthStatus = "starting"
    failing_streak: int = 0
    log: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class State:
    """The life of a container's main process; times in nanoseconds since the epoch."""

    running: bool = False
    paused: bool = False
    restarting: bool = False
    removing: bool = False
    oom_killed: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_ns: int | None = None
    finished_ns: int | None = None
    health: Health | None = None

    @property
    def status(self) -> str:
        """The one word for all this, as the Engine chooses it."""
        if self.running:
            return "paused" if self.paused else "restarting" if self.restarting else "running"
        if self.removing:
            return "removing"
        return "created" if self.started_ns is None else "exited"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One write of a container: when, on which stream (1 output, 2 errors), what."""

    time_ns: int
    stream: Literal[1, 2]
    data: bytes


@dataclass(slots=True)
class Container:
    """A container; ``config`` and ``host_config`` are whole, in the shape that inspect returns."""

    id: str
    name: str
    created_ns: int
    image: str
    image_id: str
    config: Json
    host_config: Json
    networks: dict[str, Json]
    mounts: list[Json]
    behaviour: Behaviour = Behaviour()
    usage: Usage = Usage()
    state: State = field(default_factory=State)
    restart_count: int = 0
    logs: list[LogLine] = field(default_factory=list)
    sandbox: str = ""
    # What the Engine keeps beside the container and shows nobody.
    run: int = 0  # counts starts, so that what was planned for an earlier run does nothing
    dying: bool = False
    starting: bool = False
    removed: bool = False
    stoppers: int = 0
    exits: int = 0
    backoff_seconds: float = 0.0
    exit_on_next: bool = False
    manually_stopped: bool = False
    cpu_seconds_before: float = 0.0

    @property
    def labels(self) -> dict[str, str]:
        """The container's labels."""
        labels: dict[str, str] = self.config["Labels"]
        return labels


@dataclass(slots=True)
class Command:
    """A command prepared by ``exec``; it never ran while it neither runs nor has an exit code."""

    id: str
    container: Container
    argv: list[str]
    running: bool = False
    exit_code: int | None = None
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """An image with one tag."""

    id: str
    tag: str
    created_ns: int
    size: int = 1_982_340


@dataclass(frozen=True, slots=True)
class Network:
    """A network."""

    id: str
    name: str
    driver: str
    created_ns: int
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Volume:
    """A named volume."""

    name: str
    created_ns: int
    labels: dict[str, str] | None = None
