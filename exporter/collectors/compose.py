"""Compose services and how many containers they have, also when the last one is gone."""

from collections import Counter
from collections.abc import Callable

from compose_agent.dockerd.model import STATES
from exporter.exposition import cut
from exporter.families import Family, HostCollector, Scrape, Values
from exporter.settings import ExporterSettings

_Service = tuple[str, str]


class ComposeServices:
    """Counts containers by Compose service; remembers a service for a while after its last container.

    One-off containers (``docker compose run``) are not replicas and do not count.
    """

    def __init__(self, forget_after: float) -> None:
        self._forget_after = forget_after
        self._last_seen: dict[_Service, float] = {}

    def __call__(self, scrape: Scrape) -> Values:
        """Return the number of containers for each service and state."""
        if not scrape.known:
            return (None,)
        counted: Counter[tuple[str, str, str]] = Counter()
        for container in scrape.containers:
            if container.compose_service and not container.one_off:
                # Cut as on the container's own series, and before counting: two long names may become one.
                service = (cut(container.compose_project), cut(container.compose_service))
                self._last_seen[service] = scrape.now
                counted[*service, container.state] += 1
        self._forget(scrape.now)
        return (
            {(*service, state): counted[*service, state] for service in self._last_seen for state in STATES},
        )

    def resume(self, before: object) -> None:
        """Remember the services that ``before`` remembers."""
        if isinstance(before, ComposeServices):
            self._last_seen.update(before._last_seen)  # noqa: SLF001 - its own kind

    def _forget(self, now: float) -> None:
        for service, seen in list(self._last_seen.items()):
            if now - seen > self._forget_after:
                del self._last_seen[service]


def make(settings: ExporterSettings) -> Callable[[Scrape], Values]:
    """Return a collector with an empty memory."""
    return ComposeServices(settings.compose_forget_after)


COLLECTOR = HostCollector(
    name="compose",
    help="containers of Compose services by state",
    families=(
        Family(
            "docker_compose_service_containers",
            "gauge",
            "Containers of a Compose service in this state; 0 in all for a while after the last one is gone.",
            ("compose_project", "compose_service", "state"),
        ),
    ),
    make=make,
)
