"""Nodes as the templates take them: words, marks, addresses. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from compose_agent.dockerd.overview import words
from compose_agent.web.page import Bar, bar
from fleet.envelopes.host import ActionLine, ContainerLine, Load
from fleet.manager.model import Health, State
from fleet.manager.rows import Row, Selection

LEVELS: Mapping[State, str] = {
    State.ONLINE: "ok",
    State.LATE: "warn",
    State.DUPLICATE: "warn",
    State.OFFLINE: "bad",
    State.NEVER_SEEN: "idle",
    State.DISABLED: "idle",
}
ROWS_ON_A_PAGE = 200
_ACTION_LEVELS = {"done": "ok", "failed": "bad", "suppressed": "idle"}


@dataclass(frozen=True, slots=True)
class Line:
    """One node in the table."""

    row: Row
    level: str
    tags: str
    version: str
    since: str
    heard: str
    heard_at: str
    href: str
    load: str
    load_note: str
    load_bar: Bar | None
    containers: str


@dataclass(frozen=True, slots=True)
class Chip:
    """One state with its number, as a link to the nodes in it."""

    label: str
    count: int
    level: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Everything of the table's page."""

    title: str
    time: str
    verdict: str
    level: str
    chips: Sequence[Chip]
    lines: Sequence[Line]
    total: int
    known: int
    first: int
    selection: Selection
    previous: str
    next: str
    trouble: str


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a tree of health; ``depth`` from 0."""

    name: str
    depth: int
    level: str
    status: str
    error: str
    since: str


def table(
    rows: Sequence[Row],
    total: int,
    states: Mapping[State, int],
    selection: Selection,
    *,
    now: float,
    trouble: str = "",
) -> Table:
    """Return the page of a part of the nodes."""
    known = sum(states.values())
    ill = known - states[State.ONLINE] - states[State.DISABLED]
    last = selection.offset + selection.limit
    return Table(
        title=f"{ill} of {known} nodes need a look" if ill else f"{known} node{'' if known == 1 else 's'}",
        time=words.clock(now),
        verdict=_verdict(known, ill),
        level="warn" if ill else "ok" if known else "idle",
        chips=[_chip(state, count, selection) for state, count in states.items() if count],
        lines=[line(row, now) for row in rows],
        total=total,
        known=known,
        first=selection.offset + 1,
        selection=selection,
        previous=href(selection, offset=max(0, selection.offset - selection.limit))
        if selection.offset
        else "",
        next=href(selection, offset=last) if last < total else "",
        trouble=trouble,
    )


def line(row: Row, now: float) -> Line:
    """Return a node's line."""
    return Line(
        row=row,
        level=LEVELS[State(row.state)],
        tags=", ".join(row.tags),
        version=" ".join(each for each in (row.service, row.version) if each),
        since=words.duration(max(0.0, now - row.since)) if row.since else "",
        heard=f"{words.duration(max(0.0, now - row.last_heard))} ago" if row.last_heard else words.DASH,
        heard_at=words.date(row.last_heard) if row.last_heard else "",
        load=f"{row.load.load1:.2f} / {row.load.processors}" if row.load else words.DASH,
        load_note=_load_note(row.load) if row.load else "",
        load_bar=bar(row.load.load1 / max(1, row.load.processors)) if row.load else None,
        containers=f"{row.load.running} of {row.load.containers} run" if row.load else "",
        href=f"node?{urlencode({'id': row.uid}, errors='replace')}" if row.uid else "",
    )


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container in the table of a node's page; ``level`` is its mark."""

    line: ContainerLine
    level: str
    state: str
    age: str


@dataclass(frozen=True, slots=True)
class ActionView:
    """One action in the list of a node's page."""

    line: ActionLine
    level: str
    ago: str
    when: str


def container_line(line: ContainerLine, now: float) -> ContainerView:
    """Return a container as it is shown."""
    running = line.state == "running"
    detail = "" if line.health == "none" or not running else line.health
    if not running and line.exit_code is not None:
        detail = words.exit_words(line.exit_code)
    ill = (
        line.health == "unhealthy"
        if running
        else line.state in {"dead", "restarting"} or bool(line.exit_code)
    )
    age = words.duration(max(0.0, now - line.since)) if line.since else words.DASH
    state = ", ".join(filter(None, (line.state, detail)))
    return ContainerView(line, "bad" if ill else "ok" if running else "idle", state, age)


def action_line(line: ActionLine, now: float) -> ActionView:
    """Return an action as it is shown."""
    level = _ACTION_LEVELS.get(line.state, "warn")
    ago = f"{words.duration(max(0.0, now - line.created_at))} ago"
    return ActionView(line, level, ago, words.date(line.created_at))


def _load_note(load: Load) -> str:
    shares = (("CPU", load.cpu), ("memory", load.memory))
    return ", ".join(f"{name} {words.percent(share)}" for name, share in shares if share is not None)


def href(selection: Selection, *, offset: int = 0, state: str | None = None) -> str:
    """Return the relative address of a view; what is as usual is left out."""
    pairs = {
        "q": selection.text,
        "state": selection.state if state is None else state,
        "sort": selection.order if selection.order != "state" else "",
        "offset": str(offset) if offset else "",
    }
    return "?" + urlencode({key: value for key, value in pairs.items() if value}, errors="replace")


def parts(name: str, health: Health, depth: int = 0) -> Iterator[Part]:
    """Yield a tree of health, each part behind the one that it belongs to."""
    yield Part(
        name=name,
        depth=depth,
        level="ok" if health.healthy else "bad",
        status=health.status,
        error=health.error,
        since=words.date(health.since) if health.since else "",
    )
    for each, below in health.parts.items():
        yield from parts(each, below, depth + 1)


def _verdict(known: int, ill: int) -> str:
    if not known:
        return "No agent has come yet."
    return f"{ill} of {known} need a look." if ill else "All of them are online."


def _chip(state: State, count: int, selection: Selection) -> Chip:
    current = selection.state == state
    level = LEVELS[state] if LEVELS[state] in {"warn", "bad"} else ""
    return Chip(state.value, count, level, href(selection, state="" if current else state.value), current)
