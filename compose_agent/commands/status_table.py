"""An overview as a table for the terminal, or as plain text for a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from compose_agent.commands.status_columns import GAP, NAME, STYLES, Filled, filled, fitting
from compose_agent.dockerd.overview import HostOverview, Overview, words

# Beside the words, a shape for each level; the same ones as on the page.
_MARKS: dict[words.Level, str] = {"ok": "●", "warn": "▲", "bad": "■", "idle": "○"}
_MARK_WIDTH = 1 + GAP
# Wider than any table; rich wants to know a width.
_ENDLESS = 1_000_000
# An empty line, the headings, the line that says how many rows are not shown.
_OTHER_LINES = 3


def page(
    overview: Overview, width: int, height: int | None = None, more: Sequence[Text] = ()
) -> RenderableType:
    """Return what a terminal of this size shows; rows below ``height`` are only counted.

    ``more`` are further lines above the table.
    """
    lines = [*host_lines(overview), *more]
    rows = overview.containers
    room = len(rows)
    if height is not None:
        taken = sum(-(-line.cell_len // width) for line in lines)
        room = max(1, height - taken - _OTHER_LINES)
    marks = [_mark(words.level(row)) for row in rows[:room]]
    columns = fitting(filled(rows[:room], overview.timestamp_seconds), width - _MARK_WIDTH)
    left_out = len(rows) - room
    end = [Text(f"and {left_out} more", "dim")] if left_out > 0 else []
    return Group(*lines, Text(), _table(columns, marks, width - _MARK_WIDTH), *end)


def plain(overview: Overview, more: Sequence[Text] = ()) -> str:
    """Return everything as text: no colours, no marks, every column whole."""
    console = Console(width=_ENDLESS, color_system=None, force_terminal=False)
    columns = filled(overview.containers, overview.timestamp_seconds)
    with console.capture() as capture:
        console.print(*host_lines(overview), *more, Text(), _table(columns, [], _ENDLESS), sep="\n")
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def failure(sentence: str) -> Text:
    """Return what a terminal shows while there is nothing to show."""
    return Text(f"{words.printable(sentence)}\nTrying again; Ctrl-C ends.", "bold red")


def host_lines(overview: Overview) -> list[Text]:
    """Return the lines above the table: the host, the numbers of containers, and what is wrong."""
    host = overview.host
    lines = [_host_line(host), _count_line(host)]
    if not host.up:
        age = words.duration(max(0.0, overview.timestamp_seconds - host.since_timestamp_seconds))
        sentence = f"The Engine has not answered for {age}; states are its last word: {host.error}"
        lines.append(Text(words.printable(sentence), "bold red"))
    return lines


def _host_line(host: HostOverview) -> Text:
    parts = [f"{host.engine_product.capitalize()} {host.engine_version}"] if host.engine_version else []
    parts.append(f"CPU {words.percent(host.cpu_busy_ratio)}" + (f" of {host.cpus}" if host.cpus else ""))
    total = words.plain_size(host.memory_total_bytes)
    parts.append(f"memory {words.size(host.memory_used_bytes)} of {total}")
    loads = [load for load in (host.load1, host.load5, host.load15) if load is not None]
    parts += ["load " + " ".join(f"{load:.2f}" for load in loads)] if loads else []
    name = Text(words.printable(host.name) or "Docker host", "bold")
    return Text.assemble(name, "  ", words.printable(" · ".join(parts)))


def _count_line(host: HostOverview) -> Text:
    total = sum(host.containers_by_state.values())
    states = ", ".join(f"{count} {state}" for state, count in host.containers_by_state.items() if count)
    line = Text(f"{total} container{'' if total == 1 else 's'}" + (f": {states}" if states else ""))
    if host.unhealthy:
        line.append(f" · {host.unhealthy} unhealthy", STYLES["bad"])
    if host.up and not host.complete:
        line.append(" · still reading", STYLES["warn"])
    return line


def _mark(level: words.Level) -> Text:
    return Text(_MARKS[level], STYLES[level])


def _table(columns: Sequence[Filled], marks: Sequence[Text], room: int) -> Table:
    """Return a table of columns, with a mark before each row if there are marks."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    if marks:
        table.add_column("", width=1)
    others = sum(each.width + GAP for each in columns if each.column is not NAME)
    for each in columns:
        table.add_column(
            each.column.title,
            justify="right" if each.column.right else "left",
            width=min(each.width, max(1, room - others)) if each.column is NAME else each.width,
            no_wrap=True,
            overflow="ellipsis",
        )
    for cells in zip(*([marks] if marks else []), *(each.cells for each in columns), strict=True):
        table.add_row(*cells)
    return table
