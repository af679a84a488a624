"""State, health and last exit code of every container, stopped ones too."""

from compose_agent.dockerd.model import HEALTHS, STATES, Container
from exporter.families import Family, InventoryCollector, Values


def values(container: Container) -> Values:
    """Return one value for each family; of states and health all are there, one of them 1."""
    return (
        {state: int(state == container.state) for state in STATES},
        {status: int(status == container.health) for status in HEALTHS},
        container.exit_code,
    )


COLLECTOR = InventoryCollector(
    name="container-state",
    help="state, health and exit code of containers",
    families=(
        Family(
            "docker_container_state", "gauge", "Whether the container is in this state (0 or 1).", ("state",)
        ),
        Family(
            "docker_container_health",
            "gauge",
            "Whether the health check says this (0 or 1); none: there is no check, or it does not run.",
            ("status",),
        ),
        Family(
            "docker_container_exit_code",
            "gauge",
            "Exit code of the last run; absent while the container runs and before its first run.",
        ),
    ),
    make=lambda _: values,
)
