"""The Engine itself: reachable or not, what it is, and its containers by state."""

from collections import Counter

from compose_agent.dockerd.model import STATES
from exporter.families import Family, HostCollector, Scrape, Values

_INFO_LABELS = (
    "engine",
    "version",
    "api_version",
    "os",
    "kernel",
    "architecture",
    "cgroup_version",
    "cgroup_driver",
    "storage_driver",
    "hostname",
)


def values(scrape: Scrape) -> Values:
    """Return one value for each family; after a long silence of the Engine only that it is down."""
    if not scrape.known:
        return (int(scrape.link.up), None, None)
    states = Counter(container.state for container in scrape.containers)
    return (int(scrape.link.up), _info(scrape), {state: states[state] for state in STATES})


def _info(scrape: Scrape) -> dict[tuple[str, ...], int]:
    e = scrape.engine
    cgroups = (e.cgroup_version, e.cgroup_driver)
    return {
        (
            e.product,
            e.version,
            e.api_version,
            e.os,
            e.kernel,
            e.architecture,
            *cgroups,
            e.storage_driver,
            e.name,
        ): 1
    }


COLLECTOR = HostCollector(
    name="engine",
    help="whether the Engine answers, what it is, and its containers by state",
    families=(
        Family("docker_up", "gauge", "Whether the Docker Engine answers (0 or 1)."),
        Family(
            "docker_engine_info", "info", "What the Docker Engine says of itself and its host.", _INFO_LABELS
        ),
        Family("docker_containers", "gauge", "Containers in this state.", ("state",)),
    ),
    make=lambda _: values,
)
