"""The parts of one fake Engine, put together once and handed to every route."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from compose_agent.dockerd.fake.events import EventLog
from compose_agent.dockerd.fake.faults import Faults, Recorder
from compose_agent.dockerd.fake.lifecycle import Lifecycle
from compose_agent.dockerd.fake.model import Behaviour, Container, new_id
from compose_agent.dockerd.fake.process import Processes
from compose_agent.dockerd.fake.shapes import View
from compose_agent.dockerd.fake.signals import KILL
from compose_agent.dockerd.fake.store import Store
from compose_agent.dockerd.fake.timers import Timers

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.clock import Clock
    from compose_agent.dockerd.fake.dialect import Dialect, Version


class Core:
    """State and collaborators; everything mutable is guarded by ``changed``."""

    def __init__(self, dialect: Dialect, clock: Clock, info: dict[str, Any]) -> None:
        self.dialect = dialect
        self.clock = clock
        self.info = info
        self.engine_id = new_id()[:12]
        self.changed = threading.Condition()
        clock.attach(self.changed)
        self.faults = Faults()
        self.recorder = Recorder()
        # Set while the Engine moves; cleared by freeze, so that whoever waits on it stands still.
        self.thawed = threading.Event()
        self.thawed.set()
        self.closing = threading.Event()
        self.timers = Timers(clock, self.changed)
        self.store = Store(dialect, clock.time_ns())
        self.events = EventLog(clock, self.changed, self.faults.drops)
        self.processes = Processes(
            store=self.store,
            events=self.events,
            timers=self.timers,
            clock=clock,
            changed=self.changed,
            dialect=dialect,
        )
        self.lifecycle = Lifecycle(self.processes)

    @property
    def cgroup_v2(self) -> bool:
        """Whether the Engine says that its host has cgroup v2."""
        return bool(self.info.get("CgroupVersion") == "2")

    def view(self, version: Version | None = None) -> View:
        """Return what is needed to show containers to a client of that API version."""
        return View(self.dialect, version or self.dialect.api, self.clock.time_ns(), self.store)

    def behave(self, reference: str, behaviour: Behaviour) -> None:
        """Give a container another behaviour, from its next start or signal on."""
        with self.changed:
            self.store.container(reference).behaviour = behaviour

    def die(self, reference: str, exit_code: int) -> None:
        """End the main process from outside the API, as a crash or the kernel does."""
        with self.changed:
            self.processes.end(self.store.container(reference), exit_code)

    def oom(self, reference: str, *, child_only: bool) -> None:
        """Let the kernel kill for lack of memory: the main process, or a child that it survives."""
        with self.changed:
            container = self.store.container(reference)
            container.state.oom_killed = True
            self.events.container(container, "oom")
            if not child_only:
                self.processes.end(container, 128 + KILL)

    def set_health(self, reference: str, status: str) -> None:
        """Set a container's health, with the event that belongs to it."""
        with self.changed:
            self.processes.set_health(self.store.container(reference), status)

    def halt(self, *, live_restore: bool) -> None:
        """Do to containers what the end of the Engine does; nobody is told of it afterwards."""
        with self.changed:
            for container in list(self.store.containers.values()):
                if container.state.running and not live_restore:
                    _end_silently(container, self.clock.time_ns())
            self.events.forget()
            self.store.commands.clear()
            self.processes.abandon()


def _end_silently(container: Container, now_ns: int) -> None:
    state, behaviour = container.state, container.behaviour
    if not state.restarting:
        state.exit_code = 128 + KILL if behaviour.ignores_term else behaviour.term_exit_code
        state.finished_ns = now_ns
        container.exits += 1
    container.run += 1
    container.dying, container.stoppers = False, 0
    state.running = state.restarting = state.paused = False
    state.pid = 0
