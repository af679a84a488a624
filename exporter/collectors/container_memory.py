"""Memory of running containers."""

from compose_agent.dockerd.usage import Sample
from exporter.families import Family, UsageCollector, Values


def values(sample: Sample) -> Values:
    """Return one value for each family."""
    return (
        sample.memory_bytes,
        sample.working_set_bytes,
        sample.rss_bytes,
        sample.cache_bytes,
        sample.swap_bytes,
    )


COLLECTOR = UsageCollector(
    name="container-memory",
    help="memory of containers",
    families=(
        Family(
            "docker_container_memory_usage_bytes", "gauge", "Memory in use, file cache included, in bytes."
        ),
        Family(
            "docker_container_memory_working_set_bytes",
            "gauge",
            "Memory in use without inactive file cache, in bytes; what docker stats shows.",
        ),
        Family("docker_container_memory_rss_bytes", "gauge", "Anonymous memory, in bytes."),
        Family("docker_container_memory_cache_bytes", "gauge", "File cache, in bytes."),
        Family(
            "docker_container_memory_swap_bytes",
            "gauge",
            "Swap in use, in bytes; absent without swap accounting.",
        ),
    ),
    make=lambda _: values,
)
