"""CPU time and throttling of running containers."""

from compose_agent.dockerd.usage import Sample
from exporter.families import Family, UsageCollector, Values


def values(sample: Sample) -> Values:
    """Return one value for each family."""
    return (
        sample.cpu_seconds,
        sample.cpu_user_seconds,
        sample.cpu_system_seconds,
        sample.cpu_periods,
        sample.cpu_throttled_periods,
        sample.cpu_throttled_seconds,
    )


COLLECTOR = UsageCollector(
    name="container-cpu",
    help="CPU time and throttling of containers",
    families=(
        Family(
            "docker_container_cpu_usage_seconds_total",
            "counter",
            "CPU time used, over all cores, in seconds.",
        ),
        Family(
            "docker_container_cpu_user_seconds_total", "counter", "CPU time used in user mode, in seconds."
        ),
        Family(
            "docker_container_cpu_system_seconds_total", "counter", "CPU time used in the kernel, in seconds."
        ),
        Family(
            "docker_container_cpu_periods_total",
            "counter",
            "Enforcement periods of the CPU quota that passed; absent without a quota.",
        ),
        Family(
            "docker_container_cpu_throttled_periods_total",
            "counter",
            "Enforcement periods in which the container was throttled; absent without a quota.",
        ),
        Family(
            "docker_container_cpu_throttled_seconds_total",
            "counter",
            "Time the container was throttled, in seconds; absent without a quota.",
        ),
    ),
    make=lambda _: values,
)
