"""What collectors find, as values: for who does not want them as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from compose_agent.dockerd.model import Container
from exporter.families import Collector, Family, HostCollector, Scrape, UsageCollector, Values


@dataclass(frozen=True, slots=True)
class Row:
    """The values of a collector's families, in their order, for a container or, without one, for the host."""

    families: tuple[Family, ...]
    values: Values
    container: Container | None = None


def rows_of(
    collector: Collector, collect: Callable[[Any], Values], scrape: Scrape, problems: list[str]
) -> Iterator[Row]:
    """Yield what a collector finds; what it cannot find of one container is a problem and costs that only."""
    if isinstance(collector, HostCollector):
        yield Row(collector.families, collect(scrape))
        return
    usage = isinstance(collector, UsageCollector)
    if not (usage or scrape.known):
        return
    for container in scrape.containers:
        found = scrape.samples.get(container.id) if usage else container
        if found is None:
            continue
        try:
            yield Row(collector.families, collect(found), container)
        except Exception as error:  # noqa: BLE001 - a collector may be anybody's; it costs its own values only
            problems.append(problem_of(collector, container, error))


def problem_of(collector: Collector, container: Container, error: Exception) -> str:
    """Return in words what a collector could not find of a container."""
    return f"{collector.name}, {container.name}: {type(error).__name__} {error}"
