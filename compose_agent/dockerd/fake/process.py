"""A container's main process: how it starts, dies, and is started again by the Engine.

Everything here runs with the Engine's lock held; whoever waits, waits on ``changed`` and lets go of it.
"""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from compose_agent.dockerd.fake import commands, policy
from compose_agent.dockerd.fake.clock import NANOSECONDS
from compose_agent.dockerd.fake.errors import ApiError, EngineEnded
from compose_agent.dockerd.fake.model import Container, Health, new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose_agent.dockerd.fake.clock import Clock
    from compose_agent.dockerd.fake.dialect import Dialect
    from compose_agent.dockerd.fake.events import EventLog
    from compose_agent.dockerd.fake.store import Store
    from compose_agent.dockerd.fake.timers import Timers

# Above the kernel's highest pid (4,194,304), so that no fake process is ever mistaken for a real one.
FIRST_PID = 5_000_000
START_FAILED_EXIT_CODE = 128


class Processes:
    """Start and end main processes, with the events and state changes that belong to it."""

    def __init__(
        self,
        *,
        store: Store,
        events: EventLog,
        timers: Timers,
        clock: Clock,
        changed: threading.Condition,
        dialect: Dialect,
    ) -> None:
        self.store = store
        self.events = events
        self.timers = timers
        self.clock = clock
        self.changed = changed
        self.dialect = dialect
        self._pids = itertools.count(FIRST_PID)
        # Counts the Engine's ends: whoever waits across one was ended with it.
        self._ends = 0

    def abandon(self) -> None:
        """End whatever is under way, as the end of the Engine does."""
        self._ends += 1
        self.changed.notify_all()

    def wait_for(self, done: Callable[[], bool], seconds: float | None) -> bool:
        """Wait until ``done`` or until ``seconds`` of the Engine's clock have passed; return ``done()``.

        Raises ``EngineEnded`` when the Engine does so meanwhile.
        """
        ends = self._ends
        deadline = None if seconds is None else self.clock.time_ns() + round(seconds * NANOSECONDS)
        while not done():
            left = None if deadline is None else (deadline - self.clock.time_ns()) / NANOSECONDS
            if left is not None and left <= 0:
                return False
            self.clock.wait(self.changed, left)
            if self._ends != ends:
                raise EngineEnded
        return True

    def launch(self, container: Container) -> None:
        """Start the main process; raise ``ApiError`` when its behaviour says that the start fails."""
        container.starting = True
        container.run += 1
        self._connect(container, "connect")
        try:
            self.wait_for(lambda: container.removed, container.behaviour.start_takes)
            if container.behaviour.start_error is not None:
                self._fail(container, container.behaviour.start_error)
            self._running(container)
        finally:
            container.starting = False
            self.changed.notify_all()

    def end(self, container: Container, exit_code: int) -> None:
        """Let the running main process end with ``exit_code``, then do what the restart policy says."""
        state = container.state
        if not state.running or state.restarting:
            return
        ran = (self.clock.time_ns() - (state.started_ns or 0)) / NANOSECONDS
        container.cpu_seconds_before += container.usage.cpu_cores * ran
        container.dying = False
        container.exits += 1
        state.pid, state.paused, state.exit_code = 0, False, exit_code
        state.finished_ns = self.clock.time_ns()
        again = not container.exit_on_next and policy.wants_restart(container)
        state.running = state.restarting = again
        commands.end_all(self.store, self.events, container)
        self._tell_of_end(container, ran)
        if again:
            self._plan_restart(container, ran)
        elif container.host_config["AutoRemove"]:
            self.discard(container)
        self.changed.notify_all()

    def new_pid(self) -> int:
        """Return the id of a new process."""
        return next(self._pids)

    def discard(self, container: Container) -> None:
        """Forget a container that does not run."""
        container.state.removing = True
        container.removed = True
        self.store.containers.pop(container.id, None)
        self.events.container(container, "destroy")
        self.changed.notify_all()

    def call_later(self, container: Container, seconds: float, action: Callable[[], None]) -> None:
        """Do something to this run of the container later; nothing when it has ended by then."""
        run = container.run

        def unless_over() -> None:
            if container.run == run and container.state.running and not container.state.restarting:
                action()

        self.timers.call_later(seconds, unless_over)

    def _running(self, container: Container) -> None:
        state, behaviour = container.state, container.behaviour
        state.running, state.restarting, state.paused, state.oom_killed = True, False, False, False
        state.pid = behaviour.pid or self.new_pid()
        state.exit_code, state.error = 0, ""
        state.started_ns = self.clock.time_ns()
        container.sandbox = new_id()
        self._reset_health(container)
        self.events.container(container, "start")
        if behaviour.exit_after is not None:
            self.call_later(container, behaviour.exit_after, lambda: self.end(container, behaviour.exit_code))

    def _reset_health(self, container: Container) -> None:
        check = container.config.get("Healthcheck") or {}
        if not check.get("Test") or check["Test"][0] == "NONE":
            return
        log = container.state.health.log if container.state.health else []
        container.state.health = Health(log=log)
        status = container.behaviour.health
        if status in ("healthy", "unhealthy"):
            self.call_later(
                container, container.behaviour.health_takes, lambda: self.set_health(container, status)
            )

    def set_health(self, container: Container, status: str) -> None:
        """Change the health, with its event when it is a change; ``starting`` has none."""
        health = container.state.health
        if health is None:
            health = container.state.health = Health(status="none")
        if health.status == status:
            return
        health.status = status  # type: ignore[assignment]
        if status == "healthy":
            health.failing_streak = 0
        if status in ("healthy", "unhealthy"):
            self.events.container(container, f"health_status: {status}")
        self.changed.notify_all()

    def _fail(self, container: Container, message: str) -> None:
        state = container.state
        state.running = state.restarting = False
        state.exit_code, state.error = START_FAILED_EXIT_CODE, message
        self._connect(container, "disconnect")
        raise ApiError(500, message)

    def _tell_of_end(self, container: Container, ran_seconds: float) -> None:
        # The older Engine says die first; the newer one when all who wait for a stop were served.
        details = {"exitCode": str(container.state.exit_code)}
        if self.dialect.modern:
            details["execDuration"] = str(int(ran_seconds))
        else:
            self.events.container(container, "die", **details)
        self._connect(container, "disconnect")
        while container.stoppers:
            container.stoppers -= 1
            self.events.container(container, "stop")
        if self.dialect.modern:
            self.events.container(container, "die", **details)

    def _plan_restart(self, container: Container, ran_seconds: float) -> None:
        container.restart_count += 1
        container.backoff_seconds = policy.next_backoff(container.backoff_seconds, ran_seconds)
        run = container.run

        def again() -> None:
            if container.run == run and container.state.restarting:
                # A start may take its time, which the timers of others must not wait for.
                threading.Thread(target=self._start_again, args=(container,), daemon=True).start()

        self.timers.call_later(container.backoff_seconds, again)

    def _start_again(self, container: Container) -> None:
        # Nobody asked, so nobody is answered when it fails: State.Error holds the words.
        with self.changed, suppress(ApiError, EngineEnded):
            self.launch(container)

    def _connect(self, container: Container, action: str) -> None:
        for name in container.networks:
            network = self.store.networks.get(name)
            if network is not None:
                details = {"container": container.id, "name": name, "type": network.driver}
                self.events.publish("network", action, network.id, details)
