"""What collectors declare and return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from compose_agent.dockerd.inventory import Counts, Link
from compose_agent.dockerd.model import Container, Engine
from compose_agent.dockerd.usage import Sample
from exporter.settings import ExporterSettings

Number = int | float
# For each family of a collector, in order: a number; None where it is unknown (then there is no line);
# or, for a family with labels of its own, a number for each label value (a tuple of them for several;
# a tuple of (name, value) pairs where the names themselves differ from series to series).
OwnLabels = str | tuple[str, ...] | tuple[tuple[str, str], ...]
Value = Number | Mapping[Any, Number] | None
Values = Sequence[Value]

# The labels of every series of a container; everything else stands on docker_container_info.
CONTAINER_LABELS = ("name", "id", "compose_project", "compose_service")


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family: its name as in the text format (a counter with ``_total``), help and own labels."""

    name: str
    type: Literal["counter", "gauge", "info"]
    help: str
    labels: tuple[str, ...] = ()
    lifecycle: bool = False  # a counter that counts from the container's creation: OpenMetrics gets _created


# A collector of any kind has ``make``: given the settings it returns the function that collects.


@dataclass(frozen=True, slots=True)
class InventoryCollector:
    """Values that change only when the container does; their text is rendered once for each change."""

    name: str
    help: str
    families: tuple[Family, ...]
    make: Callable[[ExporterSettings], Callable[[Container], Values]]
    default: bool = True


@dataclass(frozen=True, slots=True)
class UsageCollector:
    """Values of running containers, read anew in every scrape."""

    name: str
    help: str
    families: tuple[Family, ...]
    make: Callable[[ExporterSettings], Callable[[Sample], Values]]
    default: bool = True


@dataclass(frozen=True, slots=True)
class HostCollector:
    """Values of the host as a whole.

    The function that ``make`` gives may remember something between scrapes; if it is an object with a method
    ``resume(before)``, that is called with the function of the configuration before.
    """

    name: str
    help: str
    families: tuple[Family, ...]
    make: Callable[[ExporterSettings], Callable[[Scrape], Values]]
    default: bool = True


Collector = InventoryCollector | UsageCollector | HostCollector


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape works on: everything is from this moment.

    ``known`` is False when the Engine has been silent for longer than its last word may count.
    """

    containers: tuple[Container, ...]
    samples: Mapping[str, Sample]
    sources: Mapping[str, int]
    engine: Engine
    link: Link
    counts: Counts
    known: bool
    now: float
