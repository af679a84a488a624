"""The fake Engine as a test, or a person, holds it."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from compose_agent.dockerd.fake import policy, shapes
from compose_agent.dockerd.fake.clock import Clock, SystemClock
from compose_agent.dockerd.fake.core import Core
from compose_agent.dockerd.fake.creation import create
from compose_agent.dockerd.fake.dialect import dialect
from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.faults import Fault
from compose_agent.dockerd.fake.model import (
    Behaviour,
    HealthStatus,
    Json,
    LogLine,
    Network,
    Usage,
    new_id,
)
from compose_agent.dockerd.fake.probes import probe
from compose_agent.dockerd.fake.server import Listener

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence
    from types import TracebackType

DEFAULT_IMAGE = "busybox:latest"
HEALTHCHECK = {"Test": ["CMD-SHELL", "true"], "Interval": 30_000_000_000, "Retries": 3}
DEFAULT_BEHAVIOUR = Behaviour()


class FakeEngine:
    """A Docker Engine in memory, behind a real HTTP server on a unix socket; a context manager.

    ``socket`` is where it listens (a temporary folder when None), ``api_version`` its newest API,
    ``min_api_version`` its oldest (that Engine's own when None), ``info`` replaces keys of ``GET /info``
    (``{"CgroupVersion": "2"}`` also changes the shape of stats). ``live_restore`` lets containers run on
    while the Engine is away. Methods take a container by name, id, or beginning of an id.
    """

    def __init__(
        self,
        socket: str | Path | None = None,
        *,
        api_version: str = "1.51",
        min_api_version: str | None = None,
        clock: Clock | None = None,
        live_restore: bool = False,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fake-engine-") if socket is None else None
        self.socket = Path(socket or f"{self._folder.name if self._folder else ''}/docker.sock")
        self._live_restore = live_restore
        about = {"LiveRestoreEnabled": live_restore, **(info or {})}
        spoken = dialect(api_version, min_api_version)
        self.core = Core(spoken, clock or SystemClock(), about)
        self.core.store.add_image(DEFAULT_IMAGE, self.core.clock.time_ns())
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        """The address, as DOCKER_HOST has it."""
        return f"unix://{self.socket}"

    def __enter__(self) -> Self:
        self.core.timers.start()
        self.start_engine()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_listener()
        self.core.faults.clear()
        self.core.thawed.set()
        self.core.timers.stop()
        if self._folder is not None:
            self._folder.cleanup()

    # What there is.

    def add_container(
        self,
        name: str,
        *,
        image: str = DEFAULT_IMAGE,
        labels: Mapping[str, str] | None = None,
        running: bool = True,
        behaviour: Behaviour = DEFAULT_BEHAVIOUR,
        restart: str = "no",
        healthcheck: bool | None = None,
        command: Sequence[str] = ("app",),
        network: str = "bridge",
        config: Mapping[str, Any] | None = None,
        host_config: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a container, start it when ``running``, and return its id; events tell of both.

        ``restart`` is a policy as Compose writes it (``always``, ``on-failure:3``); ``config`` and
        ``host_config`` take whatever ``create`` takes. Without ``healthcheck`` there is a health check
        when the behaviour has a health.
        """
        wants_check = behaviour.health is not None if healthcheck is None else healthcheck
        policy_name, _, retries = restart.partition(":")
        own_host = {
            "NetworkMode": network,
            "RestartPolicy": {"Name": policy_name, "MaximumRetryCount": int(retries or 0)},
        }
        body: Json = {"Image": image, "Cmd": list(command), "Labels": dict(labels or {})}
        body |= {"Healthcheck": HEALTHCHECK} if wants_check else {}
        body |= {**(config or {}), "HostConfig": own_host | dict(host_config or {})}
        with self.core.changed:
            self.core.store.add_image(image, self.core.clock.time_ns())
            container = create(self.core, name, body)
            container.behaviour = behaviour
        if running:
            self.core.lifecycle.start(container)
        return container.id

    def add_project(self, project: str, services: Mapping[str, int]) -> list[str]:
        """Make running containers with Compose's labels, ``services`` giving the replicas of each."""
        made = []
        for service, replicas in services.items():
            for number in range(1, replicas + 1):
                labels = {
                    "com.docker.compose.project": project,
                    "com.docker.compose.service": service,
                    "com.docker.compose.container-number": str(number),
                    "com.docker.compose.oneoff": "False",
                }
                made.append(self.add_container(f"{project}-{service}-{number}", labels=labels))
        return made

    def add_network(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """Make a network and return its id."""
        with self.core.changed:
            made = Network(new_id(), name, "bridge", self.core.clock.time_ns(), dict(labels or {}))
            self.core.store.networks[name] = made
        return made.id

    def inspect(self, reference: str) -> Json:
        """Return what ``GET /containers/{id}/json`` would answer."""
        with self.core.changed:
            return shapes.inspect(self.core.store.container(reference), self.core.view())

    # What containers do.

    def behave(self, reference: str, behaviour: Behaviour) -> None:
        """Give a container another behaviour, from its next start or signal on."""
        self.core.behave(reference, behaviour)

    def die(self, reference: str, code: int = 137) -> None:
        """End a container's main process from outside the API, as a crash or ``kill -9`` on the host does."""
        self.core.die(reference, code)

    def oom(self, reference: str, *, child_only: bool = False) -> None:
        """Let the kernel kill the main process for lack of memory, or only a child of it."""
        self.core.oom(reference, child_only=child_only)

    def set_health(self, reference: str, status: HealthStatus) -> None:
        """Set a container's health, with its event."""
        self.core.set_health(reference, status)

    def probe(self, reference: str, code: int, output: str = "") -> None:
        """Run one health probe that ends with ``code``, with the events and the streak that it makes."""
        probe(self.core, reference, code, output)

    def use(self, reference: str, usage: Usage) -> None:
        """Set what ``stats`` says about a container."""
        with self.core.changed:
            self.core.store.container(reference).usage = usage

    def write(
        self,
        reference: str,
        text: str | bytes,
        stream: Literal["stdout", "stderr"] = "stdout",
        *,
        time_ns: int | None = None,
    ) -> None:
        """Let a container write ``text`` to its log, now or as if it had been at ``time_ns``."""
        data = text.encode() if isinstance(text, str) else text
        with self.core.changed:
            when = self.core.clock.time_ns() if time_ns is None else time_ns
            line = LogLine(when, 1 if stream == "stdout" else 2, data)
            self.core.store.container(reference).logs.append(line)

    def remove(self, reference: str) -> None:
        """Remove a container with force."""
        with self.core.changed:
            container = self.core.store.container(reference)
        self.core.lifecycle.remove(container, reference, force=True)

    # What goes wrong.

    def add_fault(self, fault: Fault) -> None:
        """Put a fault in force."""
        self.core.faults.add(fault)

    def drop_events(self, count: int | None = None, pattern: str = "*") -> None:
        """Lose the next ``count`` events (all when None) whose ``type action`` the shell pattern matches."""
        self.core.faults.add(Fault(f"EVENT {pattern}", "drop", times=count))

    def clear_faults(self) -> None:
        """End all faults; what hangs is let go."""
        self.core.faults.clear()

    def freeze(self) -> None:
        """Stand still, as after SIGSTOP: connections are accepted, nothing is said."""
        self.core.thawed.clear()

    def thaw(self) -> None:
        """Go on."""
        self.core.thawed.set()

    def stop_engine(self) -> None:
        """End the Engine: connections close, the socket goes, the events are forgotten, containers stop."""
        self._close_listener()
        self.core.halt(live_restore=self._live_restore)

    def start_engine(self) -> None:
        """Start the Engine (again), and with it the containers whose restart policy asks for it."""
        self.core.closing.clear()
        self._start_by_policy()
        self._listener = Listener(self.socket, self.core)
        self._listener.start()

    def restart_engine(self) -> None:
        """End the Engine and start it again."""
        self.stop_engine()
        self.start_engine()

    # What was asked.

    def requests(self) -> Counter[str]:
        """Return how often each ``METHOD /path`` (without the version) was asked for."""
        return self.core.recorder.counts()

    def forget_requests(self) -> None:
        """Count requests from zero again."""
        self.core.recorder.reset()

    def _close_listener(self) -> None:
        self.core.closing.set()
        if self._listener is not None:
            self._listener.close()
        with self.core.changed:
            self.core.changed.notify_all()

    def _start_by_policy(self) -> None:
        with self.core.changed:
            containers = list(self.core.store.containers.values())
        for container in containers:
            if container.run and not container.state.running and policy.wants_restart(container):
                with contextlib.suppress(ApiError):
                    self.core.lifecycle.start(container)
