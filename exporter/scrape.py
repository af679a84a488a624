"""One scrape: read everything now, render it, and say how long each collector took."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from compose_agent.dockerd.inventory import Counts, Link
from compose_agent.dockerd.model import Container, Engine
from compose_agent.dockerd.usage import Readings, Sample
from exporter.collectors import registered
from exporter.exposition import (
    Prepared,
    container_label_text,
    created_line,
    layout,
    render,
)
from exporter.families import (
    Collector,
    HostCollector,
    InventoryCollector,
    Scrape,
    UsageCollector,
    Values,
)
from exporter.measure import FAMILIES, USAGE, Clock, Measures
from exporter.rows import Row, problem_of, rows_of
from exporter.settings import ExporterSettings

logger = logging.getLogger(__name__)


class Picture(Protocol):
    """What is asked of an :class:`~compose_agent.dockerd.inventory.Inventory`: snapshots, without waiting."""

    def containers(self) -> tuple[Container, ...]: ...  # noqa: D102
    def engine(self) -> Engine: ...  # noqa: D102
    def link(self) -> Link: ...  # noqa: D102
    def counts(self) -> Counts: ...  # noqa: D102


class Reader(Protocol):
    """What is asked of a :class:`~compose_agent.dockerd.usage.UsageReader`."""

    def read(self, containers: Iterable[Container], timeout: float) -> Readings: ...  # noqa: D102


@dataclass(slots=True)
class ContainerText:
    """What is prepared for one container: rendered inventory values, templates of usage values."""

    container: Container
    labels: str
    inventory: dict[str, Sequence[str]] = field(default_factory=dict)
    openmetrics: dict[str, Sequence[str]] = field(default_factory=dict)
    usage: dict[str, Prepared] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Active:
    """A collector that is on, with the function that its ``make`` gave."""

    collector: Collector
    collect: Callable[[Any], Values]


class Scraper:
    """Turns the inventory and fresh usage into exposition text. Thread-safe; scrapes take turns.

    ``before`` is the scraper of the last configuration, ``local`` whether the Engine is this host's;
    ``clock`` measures seconds, ``now`` is Unix time.
    """

    def __init__(
        self,
        inventory: Picture,
        reader: Reader,
        settings: ExporterSettings,
        before: Scraper | None = None,
        *,
        local: bool = True,
        collectors: Sequence[Collector] | None = None,
        clock: Clock = time.perf_counter,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._inventory = inventory
        self._reader = reader
        self._settings = settings
        self._local = local
        self._clock = clock
        self._now = now
        self._active = [
            _Active(each, each.make(settings))
            for each in (registered() if collectors is None else collectors)
            if settings.collectors.get(each.name, each.default)
        ]
        if before:
            self._resume(before)
        self._texts: dict[str, ContainerText] = {}
        self._lock = threading.Lock()
        self._said: set[str] = set()

    def _resume(self, before: Scraper) -> None:
        """Let collectors that remember something take it over from the scraper of the last configuration."""
        functions = {each.collector.name: each.collect for each in before._active}
        for each in self._active:
            resume = getattr(each.collect, "resume", None)
            if resume and each.collector.name in functions:
                resume(functions[each.collector.name])

    def names(self) -> list[str]:
        """Return the names of the collectors that are on."""
        return [each.collector.name for each in self._active]

    def render(self, *, openmetrics: bool, timeout: float, only: Collection[str] = ()) -> str:
        """Return the text of every family, without the end mark; ``only`` names collectors to run.

        ``timeout`` is how many seconds may pass until usage has been read, a scrape before this one included.
        """
        measures = Measures(self._clock)
        active = [each for each in self._active if not only or each.collector.name in only]
        usage = any(isinstance(each.collector, UsageCollector) for each in active)
        out: list[str] = []
        with self._lock:
            scrape = self._read(measures, timeout if usage else None)
            texts = self._prepared(scrape.containers)
            for each in active:
                with measures.part(each.collector.name) as problems:
                    out.extend(self._collected(each, scrape, texts, problems, openmetrics=openmetrics))
            self._log_once(measures.problems)
        out.extend(measures.text(openmetrics=openmetrics))
        return "".join(out)

    def look(self, timeout: float) -> tuple[Scrape, list[Row]]:
        """Return what there is now and the values of every family, as ``render`` has them in text."""
        measures = Measures(self._clock)
        found: list[Row] = []
        with self._lock:
            scrape = self._read(measures, timeout)
            for each in self._active:
                with measures.part(each.collector.name) as problems:
                    found += rows_of(each.collector, each.collect, scrape, problems)
            self._log_once(measures.problems)
        found.append(Row(FAMILIES, (measures.durations, measures.successes, measures.passed())))
        return scrape, found

    def _read(self, measures: Measures, timeout: float | None) -> Scrape:
        link, containers, counts = (
            self._inventory.link(),
            self._inventory.containers(),
            self._inventory.counts(),
        )
        readings = Readings({}, {})
        if timeout is not None:
            with measures.part(USAGE) as problems:
                readings = self._reader.read(containers, timeout - measures.passed())
                problems.extend(readings.errors)
        now = self._now()
        fresh = counts.connects > 0 and now - link.since <= self._settings.stale_after
        return Scrape(
            containers=containers,
            samples=readings.samples,
            sources=readings.sources,
            engine=self._inventory.engine(),
            link=link,
            counts=counts,
            known=link.up or fresh,
            now=now,
            local=self._local,
        )

    def _prepared(self, containers: Iterable[Container]) -> list[ContainerText]:
        """Return the texts of these containers, made anew for those that changed, and forget all others."""
        before, self._texts = self._texts, {}
        for container in containers:
            text = before.get(container.id)
            if text is None or text.container is not container:
                text = ContainerText(container, container_label_text(container))
            self._texts[container.id] = text
        return list(self._texts.values())

    def _collected(
        self,
        each: _Active,
        scrape: Scrape,
        texts: list[ContainerText],
        problems: list[str],
        *,
        openmetrics: bool,
    ) -> Iterable[str]:
        collector = each.collector
        rows: list[Sequence[str]] = []
        if isinstance(collector, HostCollector):
            rows = [render(collector.families, each.collect(scrape))]
        elif isinstance(collector, UsageCollector):
            rows = _usage_rows(collector, each.collect, scrape, texts, problems)
        elif scrape.known:
            rows = _inventory_rows(collector, each.collect, texts, problems, openmetrics=openmetrics)
        return layout(collector.families, rows, openmetrics=openmetrics)

    def _log_once(self, problems: Iterable[str]) -> None:
        """Log each problem when it appears; the success gauge says how long it lasts."""
        current = set(problems)
        for problem in current - self._said:
            logger.warning("cannot collect", extra={"error": problem})
        self._said = current


def _usage_rows(
    collector: UsageCollector,
    collect: Callable[[Sample], Values],
    scrape: Scrape,
    texts: list[ContainerText],
    problems: list[str],
) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for text in texts:
        sample = scrape.samples.get(text.container.id)
        if sample is None:
            continue
        prepared = text.usage.get(collector.name)
        if prepared is None:
            prepared = text.usage[collector.name] = Prepared(collector.families, text.labels)
        try:
            rows.append(prepared.render(collect(sample)))
        except Exception as error:  # noqa: BLE001 - a collector may be anybody's; it costs its own lines only
            problems.append(problem_of(collector, text.container, error))
    return rows


def _inventory_rows(
    collector: InventoryCollector,
    collect: Callable[[Container], Values],
    texts: list[ContainerText],
    problems: list[str],
    *,
    openmetrics: bool,
) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for text in texts:
        kept = text.openmetrics if openmetrics else text.inventory
        row = kept.get(collector.name)
        if row is None:
            try:
                row = kept[collector.name] = _inventory_row(collector, collect, text, openmetrics=openmetrics)
            except Exception as error:  # noqa: BLE001 - a collector may be anybody's; it costs its own lines only
                problems.append(problem_of(collector, text.container, error))
                continue
        rows.append(row)
    return rows


def _inventory_row(
    collector: InventoryCollector,
    collect: Callable[[Container], Values],
    text: ContainerText,
    *,
    openmetrics: bool,
) -> Sequence[str]:
    row = render(collector.families, collect(text.container), text.labels)
    created = text.container.created_at
    if not openmetrics or created is None:
        return row
    return [
        lines + created_line(family, text.labels, created) if family.lifecycle and lines else lines
        for family, lines in zip(collector.families, row, strict=True)
    ]
