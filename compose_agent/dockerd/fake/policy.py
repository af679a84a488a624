"""When the Engine starts a container again by itself, and after how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.model import Container

# The Engine's own back-off: doubled at each restart, forgotten after a run of ten seconds.
FIRST_BACKOFF_SECONDS = 0.1
MAX_BACKOFF_SECONDS = 60.0
STEADY_RUN_SECONDS = 10.0


def wants_restart(container: Container) -> bool:
    """Tell whether the restart policy asks for another start after this exit."""
    policy = container.host_config["RestartPolicy"]
    if policy["Name"] == "always":
        return True
    if policy["Name"] == "unless-stopped":
        return not container.manually_stopped
    if policy["Name"] != "on-failure" or container.manually_stopped or container.state.exit_code == 0:
        return False
    limit: int = policy["MaximumRetryCount"]
    return limit == 0 or container.restart_count < limit


def next_backoff(previous: float, ran_seconds: float) -> float:
    """Return how long to wait before the next start, given the wait before this run and its length."""
    if previous == 0 or ran_seconds >= STEADY_RUN_SECONDS:
        return FIRST_BACKOFF_SECONDS
    return min(previous * 2, MAX_BACKOFF_SECONDS)
