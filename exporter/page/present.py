"""An overview as the templates take it: words, bars and addresses. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from compose_agent.dockerd.overview import ContainerRow, HostOverview, Overview, View, words
from compose_agent.web.page import Bar, bar
from exporter.page.columns import Heading, headings, sort_choices
from exporter.page.lines import Line, line
from exporter.page.links import href

NO_PROJECT = "outside Compose"


@dataclass(frozen=True, slots=True)
class Chip:
    """A number that leads to the rows it counts."""

    count: int
    label: str
    href: str
    level: str
    current: bool


@dataclass(frozen=True, slots=True)
class Host:
    """The host's header. Bars are None where nothing is known."""

    name: str
    engine: str
    up: bool
    error: str
    since: str
    cpu: str
    cpus: str
    cpu_bar: Bar | None
    memory: str
    memory_total: str
    memory_bar: Bar | None
    loads: str
    chips: Sequence[Chip]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that stand together; without a title when they are sorted across projects."""

    title: str
    summary: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the page shows."""

    title: str
    time: str
    host: Host
    complete: bool
    headings: Sequence[Heading]
    groups: Sequence[Group]
    shown: int
    total: int
    view: View
    sort_choices: Sequence[tuple[str, str]]
    all_href: str


def present(overview: Overview, view: View) -> Page:
    """Return the page of an overview."""
    rows = view.of(overview.containers)
    problems = sum(words.level(each) in ("bad", "warn") for each in overview.containers)
    name = overview.host.name or "Docker host"
    return Page(
        title=f"({problems}) {name}" if problems else name,
        time=words.clock(overview.timestamp_seconds),
        host=_host(overview, view, problems),
        complete=overview.host.complete,
        headings=headings(view),
        groups=_groups(rows, overview, view),
        shown=len(rows),
        total=len(overview.containers),
        view=view,
        sort_choices=sort_choices(view),
        all_href=href(View(view.order)),
    )


def _host(overview: Overview, view: View, problems: int) -> Host:
    host = overview.host
    used = host.memory_used_bytes
    ratio = used / host.memory_total_bytes if used is not None and host.memory_total_bytes else None
    known_loads = [load for load in (host.load1, host.load5, host.load15) if load is not None]
    return Host(
        name=host.name or "Docker host",
        engine=_engine(host),
        up=host.up,
        error=host.error,
        since=words.duration(max(0.0, overview.timestamp_seconds - host.since_timestamp_seconds)),
        cpu=words.percent(host.cpu_busy_ratio),
        cpus=f"of {host.cpus} CPU{'' if host.cpus == 1 else 's'}" if host.cpus else "",
        cpu_bar=bar(host.cpu_busy_ratio),
        memory=words.size(used),
        memory_total=f"of {words.plain_size(host.memory_total_bytes)}" if host.memory_total_bytes else "",
        memory_bar=bar(ratio),
        loads="  ".join(f"{load:.2f}" for load in known_loads) or words.DASH,
        chips=_chips(overview, view, problems),
    )


def _engine(host: HostOverview) -> str:
    if not host.engine_version:
        return ""
    parts = (f"{host.engine_product.capitalize()} {host.engine_version}", host.operating_system)
    return " · ".join(filter(None, parts))


def _chips(overview: Overview, view: View, problems: int) -> list[Chip]:
    """Return all containers, those to look at, and each state that occurs."""
    host = overview.host
    counts = {
        "": (len(overview.containers), "containers", ""),
        "problem": (problems, "to look at", "warn"),
        "unhealthy": (host.unhealthy, "unhealthy", "bad"),
        **{state: (count, state, "") for state, count in host.containers_by_state.items()},
    }
    return [
        Chip(count, label, href(View(view.order, view.text, state)), level, current=state == view.state)
        for state, (count, label, level) in counts.items()
        if count or not state or state == view.state
    ]


def _groups(rows: Sequence[ContainerRow], overview: Overview, view: View) -> list[Group]:
    now, memory = overview.timestamp_seconds, overview.host.memory_total_bytes
    cpus = overview.host.cpus
    if view.order.column != "project":
        return [Group("", "", [line(row, now, cpus, memory) for row in rows])] if rows else []
    return [
        _group(project, list(members), now, cpus, memory)
        for project, members in groupby(rows, key=lambda row: row.project)
    ]


def _group(project: str, rows: list[ContainerRow], now: float, cpus: int | None, memory: int | None) -> Group:
    running = sum(row.running for row in rows)
    cores = [row.cpu_cores for row in rows if row.cpu_cores is not None]
    used = [row.memory_working_set_bytes for row in rows if row.memory_working_set_bytes is not None]
    parts = [f"{running} of {len(rows)} running"]
    parts += [f"CPU {words.percent(sum(cores))}"] if cores else []
    parts += [f"memory {words.size(sum(used))}"] if used else []
    lines = [line(row, now, cpus, memory) for row in rows]
    return Group(project or NO_PROJECT, " · ".join(parts), lines)
