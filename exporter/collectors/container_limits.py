"""What a container is allowed to use; a limit that is not set has no series."""

from compose_agent.dockerd.model import Container
from exporter.families import Family, InventoryCollector, Values


def values(container: Container) -> Values:
    """Return one value for each family."""
    return (container.cpu_limit_cores, container.memory_limit_bytes, container.pids_limit)


COLLECTOR = InventoryCollector(
    name="container-limits",
    help="CPU, memory and process limits of containers",
    families=(
        Family("docker_container_cpu_limit_cores", "gauge", "CPU quota in cores; absent when unlimited."),
        Family(
            "docker_container_memory_limit_bytes", "gauge", "Memory limit in bytes; absent when unlimited."
        ),
        Family(
            "docker_container_pids_limit", "gauge", "Limit of processes and threads; absent when unlimited."
        ),
    ),
    make=lambda _: values,
)
