"""Health probes as the Engine runs them: three exec events each, a log, a streak, a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose_agent.dockerd.fake.model import MAX_HEALTH_LOG, Container, Health, new_id
from compose_agent.dockerd.fake.times import rfc3339

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.core import Core

DEFAULT_RETRIES = 3


def probe(core: Core, reference: str, exit_code: int, output: str = "") -> None:
    """Run one probe of a container's health check that ends with ``exit_code``."""
    with core.changed:
        container = core.store.container(reference)
        health = container.state.health
        if health is None or not container.state.running:
            return
        _tell(core, container, exit_code)
        now = rfc3339(core.clock.time_ns())
        result = {"Start": now, "End": now, "ExitCode": exit_code, "Output": output}
        health.log = [*health.log, result][-MAX_HEALTH_LOG:]
        verdict = _verdict(container, health, exit_code)
        if verdict is not None:
            core.processes.set_health(container, verdict)


def _verdict(container: Container, health: Health, exit_code: int) -> str | None:
    if exit_code == 0:
        health.failing_streak = 0
        return "healthy"
    health.failing_streak += 1
    retries = (container.config.get("Healthcheck") or {}).get("Retries") or DEFAULT_RETRIES
    return "unhealthy" if health.failing_streak >= retries else None


def _tell(core: Core, container: Container, exit_code: int) -> None:
    test = (container.config.get("Healthcheck") or {}).get("Test") or ["CMD-SHELL", "true"]
    command = " ".join(test[1:])
    shown = f"/bin/sh -c {command}" if test[0] == "CMD-SHELL" else command
    exec_id = new_id()
    core.events.container(container, f"exec_create: {shown}", execID=exec_id)
    core.events.container(container, f"exec_start: {shown}", execID=exec_id)
    core.events.container(container, "exec_die", execID=exec_id, exitCode=str(exit_code))
