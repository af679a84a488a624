"""What exporter tests work on: containers, samples, settings, and a scraper over them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compose_agent.config.options import bound_options
from compose_agent.config.resolve import default_value, read_value
from compose_agent.dockerd.inventory import Counts, Link
from compose_agent.dockerd.model import Container, Engine
from compose_agent.dockerd.usage import DeviceIO, InterfaceIO, Readings, Sample
from exporter.families import Collector, Scrape
from exporter.scrape import Scraper
from exporter.settings import ExporterSettings

NOW = 1_763_835_600.0
ETH0 = InterfaceIO(1, 2, 3, 4, 5, 6, 7, 8)
SAMPLE = Sample(
    1.5, 1.0, 0.5, 10, 2, 0.25, 4096, 3072, 2048, 1024, 0, 3, {"eth0": ETH0}, {"vda": DeviceIO(1, 2, 3, 4)}
)
NOTHING = Sample(0.5, *(None,) * 12, {})


def box(container_id: str = "c" * 64, **changes: Any) -> Container:
    """Return a running container."""
    known = {"name": "web", "image": "nginx", "image_id": "sha256:1", "state": "running", "pid": 1, **changes}
    return Container(id=container_id, **known)


def settings(**given: Any) -> ExporterSettings:
    """Return the default settings, changed: texts by field, ``switches`` of collectors by name."""
    values: dict[str, Any] = {}
    for bound in bound_options(ExporterSettings):
        value = default_value(bound.option)
        if bound.entry is None:
            text = given.get(bound.field)
            values[bound.field] = value if text is None else read_value(bound.option, text)
        else:
            values.setdefault(bound.field, {})[bound.entry] = value
    values["collectors"] = {**values["collectors"], **given.get("switches", {})}
    return ExporterSettings(**values)


def scrape(*containers: Container, **changes: Any) -> Scrape:
    """Return a scrape over containers, with a sample for each that runs."""
    made = Scrape(
        containers=containers,
        samples={each.id: SAMPLE for each in containers if each.alive},
        sources={"cgroup": len(containers), "api": 0, "none": 0},
        engine=Engine(),
        link=Link(up=True, since=NOW, error=""),
        counts=Counts(connects=1),
        known=True,
        now=NOW,
    )
    return dataclasses.replace(made, **changes)


@dataclass
class World:
    """An inventory and a reader in one, of which a test may change anything between scrapes."""

    boxes: tuple[Container, ...] = ()
    samples: Mapping[str, Sample] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    about: Engine = field(default_factory=Engine)
    state: Link = field(default_factory=lambda: Link(up=True, since=NOW, error=""))
    counted: Counts = field(default_factory=lambda: Counts(connects=1))
    timeouts: list[float] = field(default_factory=list)

    def containers(self) -> tuple[Container, ...]:
        return self.boxes

    def engine(self) -> Engine:
        return self.about

    def link(self) -> Link:
        return self.state

    def counts(self) -> Counts:
        return self.counted

    def read(self, containers: Iterable[Container], timeout: float) -> Readings:
        self.timeouts.append(timeout)
        alive = {each.id for each in containers if each.alive}
        found = {key: sample for key, sample in self.samples.items() if key in alive}
        sources = {"cgroup": len(found), "api": 0, "none": len(alive - found.keys())}
        return Readings(found, sources, self.errors)


def world(*boxes: Container, sample: Sample = SAMPLE) -> World:
    """Return a world of these containers, each with the same sample."""
    return World(boxes, {each.id: sample for each in boxes})


def scraper(
    world: World,
    collectors: Sequence[Collector] | None = None,
    before: Scraper | None = None,
    now: Callable[[], float] = lambda: NOW,
    **given: Any,
) -> Scraper:
    """Return a scraper over a world whose clock stands still."""
    return Scraper(world, world, settings(**given), before, collectors=collectors, clock=lambda: 0.0, now=now)


def text(made: Scraper, *, openmetrics: bool = False, only: Sequence[str] = ()) -> str:
    """Return a whole scrape, with the end mark that OpenMetrics asks for."""
    return made.render(openmetrics=openmetrics, timeout=5.0, only=only) + ("# EOF\n" if openmetrics else "")
