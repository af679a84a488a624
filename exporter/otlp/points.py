"""From what a scrape has found to resources with metrics: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from compose_agent.dockerd.model import Container
from compose_agent.tracing.containers import about_container
from exporter.families import Family, Number, OwnLabels, Scrape, Value
from exporter.otlp.conventions import (
    CPU_WITHOUT_MODE,
    MEMORY_AVAILABLE,
    NOT_TOLD,
    UPTIME,
    Kind,
    Told,
    told,
)
from exporter.rows import Row

_NS = 1_000_000_000
_RUNTIME = "docker"
_ID = "sha256:"


@dataclass(frozen=True, slots=True)
class Point:
    """One value; ``since`` are Unix nanoseconds from which it is counted, 0 if nobody knows."""

    value: Number
    attributes: Mapping[str, str] = field(default_factory=dict)
    since: int = 0


@dataclass(slots=True)
class Metric:
    """A metric of one resource."""

    told: Told
    description: str
    points: list[Point] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Resource:
    """What the metrics are about."""

    attributes: Mapping[str, Any]
    metrics: list[Metric]


def resources_of(scrape: Scrape, rows: Iterable[Row], ours: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield this host's resource, whose attributes are ``ours``, and one for each container."""
    metrics: dict[str, dict[str, Metric]] = {}
    containers = {each.id: each for each in scrape.containers}
    for row in rows:
        owner = row.container.id if row.container else ""
        _add(metrics.setdefault(owner, {}), row)
    for owner, found in metrics.items():
        container = containers.get(owner)
        if container is None:
            yield Resource(ours, list(found.values()))
            continue
        _derive(found, container, scrape)
        yield Resource({**_host(ours), **_about(container)}, list(found.values()))


def _add(metrics: dict[str, Metric], row: Row) -> None:
    values = dict(zip((each.name for each in row.families), row.values, strict=True))
    for family in row.families:
        if not _is_told(family, values):
            continue
        how = told(family)
        points = list(_points(family, how, values[family.name], row.container))
        if points:
            metrics.setdefault(how.name, Metric(how, family.help)).points.extend(points)


def _is_told(family: Family, values: Mapping[str, Value]) -> bool:
    if family.name == CPU_WITHOUT_MODE:
        return values.get("docker_container_cpu_user_seconds_total") is None
    return family.name not in NOT_TOLD


def _points(family: Family, how: Told, value: Value, container: Container | None) -> Iterator[Point]:
    since = _since(family, container) if how.kind is Kind.COUNTER else 0
    if isinstance(value, Mapping):
        for key, number in value.items():
            yield Point(number, {**how.fixed, **_own(family, how, key)}, since)
    elif value is not None:
        yield Point(value, how.fixed, since)


def _own(family: Family, how: Told, key: OwnLabels) -> dict[str, str]:
    """Return the attributes of one series of a family with labels of its own."""
    parts = (key,) if isinstance(key, str) else key
    if parts and isinstance(parts[0], tuple):
        return {str(name): str(value) for name, value in parts}
    return {how.labels.get(name, name): str(part) for name, part in zip(family.labels, parts, strict=True)}


def _since(family: Family, container: Container | None) -> int:
    """Return from when a counter counts: a container's files from its start, lifecycle from its creation."""
    if container is None:
        return 0
    return int(((container.created_at if family.lifecycle else container.started_at) or 0) * _NS)


def _derive(metrics: dict[str, Metric], container: Container, scrape: Scrape) -> None:
    """Add what has a convention and is no family of ours, because PromQL has it from two of them."""
    sample = scrape.samples.get(container.id)
    if container.started_at and container.state == "running":
        uptime = Point(round(scrape.now - container.started_at, 3))
        metrics[UPTIME.name] = Metric(UPTIME, "How long the container has run.", [uptime])
    if sample and sample.working_set_bytes is not None and container.memory_limit_bytes is not None:
        left = Point(container.memory_limit_bytes - sample.working_set_bytes)
        metrics[MEMORY_AVAILABLE.name] = Metric(MEMORY_AVAILABLE, "Memory up to the limit.", [left])


def _host(ours: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in ours.items() if name.startswith("host.")}


def _about(container: Container) -> dict[str, Any]:
    name, tag = _image(container.image)
    return {
        **about_container(container),
        "container.runtime.name": _RUNTIME,
        "container.image.name": name,
        **({"container.image.tags": [tag]} if tag else {}),
    }


def _image(reference: str) -> tuple[str, str]:
    """Return name and tag of an image; a port of a registry is no tag, nor is a digest or an id."""
    if reference.startswith(_ID):
        return reference, ""
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "")
