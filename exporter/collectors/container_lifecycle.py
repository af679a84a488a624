"""Restarts, kills for memory, and the times of creation, start and end."""

from compose_agent.dockerd.model import Container
from exporter.families import Family, InventoryCollector, Values


def values(container: Container) -> Values:
    """Return one value for each family."""
    return (
        container.restart_count,
        container.oom_kills,
        container.created_at,
        container.started_at,
        container.finished_at,
    )


COLLECTOR = InventoryCollector(
    name="container-lifecycle",
    help="restarts, OOM kills and start and finish times of containers",
    families=(
        Family(
            "docker_container_restarts_total",
            "counter",
            "Restarts by the restart policy since the container was last started by hand.",
            lifecycle=True,
        ),
        Family(
            "docker_container_oom_kills_total",
            "counter",
            "Times the kernel killed in the container for memory since this exporter started, from the "
            "Engine's events; those within a second count as one.",
            lifecycle=True,
        ),
        Family(
            "docker_container_created_timestamp_seconds",
            "gauge",
            "When the container was created, Unix time.",
        ),
        Family("docker_container_started_timestamp_seconds", "gauge", "When the last run began, Unix time."),
        Family(
            "docker_container_finished_timestamp_seconds",
            "gauge",
            "When the last ended run ended, Unix time.",
        ),
    ),
    make=lambda _: values,
)
