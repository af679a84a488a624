"""The host's CPU, memory and load, for hosts without a node_exporter."""

from collections.abc import Callable

from compose_agent.dockerd.usage.host import read_host
from exporter.families import Family, HostCollector, Scrape, Values
from exporter.settings import ExporterSettings


def make(settings: ExporterSettings) -> Callable[[Scrape], Values]:
    """Return the function that reads the host's files."""

    def values(scrape: Scrape) -> Values:
        if not scrape.local:
            return (None, None, None, None)
        host = read_host(settings.procfs)
        return (host.cpu_seconds, host.memory_total_bytes, host.memory_available_bytes, host.loads[0])

    return values


COLLECTOR = HostCollector(
    name="host",
    help="the host's CPU, memory and load (switch it off beside a node_exporter)",
    families=(
        Family(
            "docker_host_cpu_seconds_total", "counter", "CPU time of the host by mode, in seconds.", ("mode",)
        ),
        Family("docker_host_memory_total_bytes", "gauge", "Memory of the host, in bytes."),
        Family(
            "docker_host_memory_available_bytes",
            "gauge",
            "Memory that can be had without swapping, in bytes, as the kernel estimates it.",
        ),
        Family("docker_host_load1", "gauge", "Load average of the host over one minute."),
    ),
    make=make,
)
