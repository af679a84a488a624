"""Processes and threads of running containers."""

from compose_agent.dockerd.usage import Sample
from exporter.families import Family, UsageCollector, Values


def values(sample: Sample) -> Values:
    """Return one value for each family."""
    return (sample.pids,)


COLLECTOR = UsageCollector(
    name="container-pids",
    help="number of processes and threads in containers",
    families=(Family("docker_container_pids", "gauge", "Processes and threads in the container."),),
    make=lambda _: values,
)
