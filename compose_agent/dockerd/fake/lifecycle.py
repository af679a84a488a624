"""The verbs of the API on containers, as the real Engine carries them out.

Each runs in its caller's thread and goes to its end whether or not anybody still waits for the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose_agent.dockerd.fake import signals
from compose_agent.dockerd.fake.errors import ApiError, not_modified

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.model import Container
    from compose_agent.dockerd.fake.process import Processes

# What the Engine waits between the stop signal and SIGKILL when nobody says otherwise.
DEFAULT_STOP_SECONDS = 10


class Lifecycle:
    """Start, stop, restart, kill, pause, rename and remove containers."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._changed = processes.changed
        self._events = processes.events
        self._dialect = processes.dialect

    def start(self, container: Container) -> None:
        """Start a container; raise 304 when it runs, 409 when it is paused, 500 when the start fails."""
        with self._changed:
            self._settle(container)
            if container.state.paused:
                raise ApiError(409, "cannot start a paused container, try unpause instead")
            if container.state.running:
                raise not_modified()
            self._start(container)

    def stop(self, container: Container, seconds: int | None, signal: int | None = None) -> None:
        """Send the stop signal, and SIGKILL after ``seconds``; raise 304 when nothing runs."""
        with self._changed:
            self._settle(container)
            if not container.state.running:
                raise not_modified()
            self._stop(container, seconds, signal)

    def restart(self, container: Container, seconds: int | None, signal: int | None = None) -> None:
        """Stop and start a container; several at once share one stop and one start."""
        with self._changed:
            self._settle(container)
            if container.state.running:
                self._stop(container, seconds, signal)
            try:
                self._start(container)
            except ApiError as error:
                message = f"Cannot restart container {container.id}: {error.message}"
                raise ApiError(error.status, message) from None
            self._events.container(container, "restart")

    def kill(self, container: Container, signal: int, reference: str) -> None:
        """Send a signal; raise 409 when the container does not run."""
        with self._changed:
            self._settle(container)
            if not container.state.running:
                raise ApiError(409, self._dialect.cannot_kill(reference, container.id))
            if container.state.restarting:
                self._give_up_restart(container)
                return
            self._signal(container, signal)

    def pause(self, container: Container) -> None:
        """Freeze a running container; raise 409 when it is not one."""
        with self._changed:
            self._settle(container)
            if not container.state.running:
                raise ApiError(409, self._dialect.not_running(container.id))
            if container.state.restarting:
                words = "is restarting, wait until the container is running"
                raise ApiError(409, f"Container {container.id} {words}")
            if container.state.paused:
                raise ApiError(409, f"Container {container.id} is already paused")
            container.state.paused = True
            self._events.container(container, "pause")

    def unpause(self, container: Container) -> None:
        """Let a paused container go on; raise 500, as the Engine does, when it is not paused."""
        with self._changed:
            self._settle(container)
            if not container.state.paused:
                raise ApiError(500, f"Container {container.id} is not paused")
            container.state.paused = False
            self._events.container(container, "unpause")

    def rename(self, container: Container, name: str) -> None:
        """Give a container another name; raise 400 or 409 when it cannot have it."""
        with self._changed:
            if not name:
                raise ApiError(400, "Neither old nor new names may be empty")
            if name == container.name:
                raise ApiError(400, "Renaming a container with the same name as its current name")
            try:
                self._processes.store.refuse_taken(name)
            except ApiError as error:
                raise ApiError(409, f"Error when allocating new name: {error.message}") from None
            old, container.name = container.name, name
            self._events.container(container, "rename", oldName=f"/{old}")

    def remove(self, container: Container, reference: str, *, force: bool) -> None:
        """Remove a container, killing it first when ``force``; raise 409 when it runs otherwise."""
        with self._changed:
            self._settle(container)
            if container.state.running and not force:
                status = container.state.status
                raise ApiError(409, self._dialect.cannot_remove(reference, container.id, status))
            if container.state.restarting:
                self._give_up_restart(container)
            if container.state.running:
                self._signal(container, signals.KILL)
                self._processes.wait_for(lambda: not container.state.running, None)
            if not container.removed:
                self._processes.discard(container)

    def _settle(self, container: Container) -> None:
        """Wait for a start under way, as every verb does."""
        self._processes.wait_for(lambda: not container.starting, None)

    def _start(self, container: Container) -> None:
        self._settle(container)
        if container.removed:
            raise ApiError(409, "container is marked for removal and cannot be started")
        if container.state.running:
            return
        container.exit_on_next = container.manually_stopped = False
        container.restart_count, container.backoff_seconds = 0, 0.0
        self._processes.launch(container)

    def _stop(self, container: Container, seconds: int | None, signal: int | None) -> None:
        if container.state.restarting:
            self._give_up_restart(container)
            self._events.container(container, "stop")
            return
        exits = container.exits
        container.stoppers += 1
        self._signal(container, signal or _stop_signal(container))
        if not self._ended(container, exits, _stop_seconds(container, seconds)):
            self._signal(container, signals.KILL)
            self._ended(container, exits, None)

    def _ended(self, container: Container, exits: int, seconds: float | None) -> bool:
        return self._processes.wait_for(lambda: container.exits > exits, seconds)

    def _signal(self, container: Container, signal: int) -> None:
        """Deliver a signal; whoever sends one by the API has stopped the container by hand."""
        container.manually_stopped = True
        configured = container.config.get("StopSignal")
        if signal == signals.KILL or not configured or signal == _stop_signal(container):
            container.exit_on_next = True
        self._events.container(container, "kill", signal=str(signal))
        behaviour = container.behaviour
        if signal == signals.KILL:
            self._end_later(container, behaviour.kill_takes, 128 + signals.KILL)
            return
        if container.state.paused and container.exit_on_next:
            container.state.paused = False
            self._events.container(container, "unpause")
        fatal = signal in signals.FATAL or signal == _stop_signal(container)
        if fatal and not behaviour.ignores_term and not container.dying:
            container.dying = True
            self._end_later(container, behaviour.stop_takes, behaviour.term_exit_code)

    def _end_later(self, container: Container, seconds: float, exit_code: int) -> None:
        self._processes.call_later(container, seconds, lambda: self._processes.end(container, exit_code))

    def _give_up_restart(self, container: Container) -> None:
        container.manually_stopped = container.exit_on_next = True
        container.state.running = container.state.restarting = False
        self._changed.notify_all()


def _stop_signal(container: Container) -> int:
    return signals.parse_signal(container.config.get("StopSignal") or "") or signals.TERM


def _stop_seconds(container: Container, seconds: int | None) -> float | None:
    if seconds is None:
        seconds = container.config.get("StopTimeout", DEFAULT_STOP_SECONDS)
    return None if seconds is None or seconds < 0 else float(seconds)
