"""What collectors declare and return."""

from __future__ import annotations

import re
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
# How the names of these types end in the text format.
SUFFIXES = {"counter": "_total", "info": "_info"}
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family: its name as in the text format (a counter with ``_total``), help and own labels."""

    name: str
    type: Literal["counter", "gauge", "info"]
    help: str
    labels: tuple[str, ...] = ()
    lifecycle: bool = False  # a counter that counts from the container's creation: OpenMetrics gets _created

    @property
    def base(self) -> str:
        """The name as OpenMetrics has it in HELP and TYPE, without what the type adds."""
        return self.name.removesuffix(SUFFIXES.get(self.type, ""))


def fault_of(family: Family, *, labelled: bool) -> str | None:
    """Return what would make the family invalid in one of the formats; ``labelled``: it is of containers."""
    labels = (*(CONTAINER_LABELS if labelled else ()), *family.labels)
    if not _NAME.fullmatch(family.name):
        return f"'{family.name}' is no name of a metric"
    if not family.name.endswith(SUFFIXES.get(family.type, "")):
        return f"{family.name} is of type {family.type} and does not end in {SUFFIXES[family.type]}"
    if wrong := [name for name in family.labels if not _NAME.fullmatch(name) or labels.count(name) > 1]:
        return f"{family.name} cannot have the label '{wrong[0]}'"
    if family.lifecycle and (family.type != "counter" or family.labels or not labelled):
        return f"{family.name} is of lifecycle and not a container's counter without labels of its own"
    return None


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

    ``known`` is False when the Engine has been silent for longer than its last word may count; ``local``
    is False when the Engine is another host's, of which our files say nothing.
    """

    containers: tuple[Container, ...]
    samples: Mapping[str, Sample]
    sources: Mapping[str, int]
    engine: Engine
    link: Link
    counts: Counts
    known: bool
    now: float
    local: bool = True
