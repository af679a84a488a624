"""Actions as a table for the terminal, as plain text for a pipe, and as single lines to follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compose_agent.commands.status_columns import GAP, STYLES
from compose_agent.dockerd.overview import words
from remediation.history import ActionRow
from remediation.telling import because, latest, level, target_name, took
from remediation.why import SHORT_ID

# Wider than any table; rich wants to know a width.
_ENDLESS = 1_000_000


def table(rows: Sequence[ActionRow]) -> Table:
    """Return a table; what says why comes last and is cut where the terminal ends."""
    found = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for title, _ in _COLUMNS:
        found.add_column(title, no_wrap=True, overflow="ellipsis")
    for row in rows:
        cells = [Text(words.printable(cell(row))) for _, cell in _COLUMNS]
        cells[3].stylize(STYLES[level(row)])
        found.add_row(*cells)
    return found


def plain(rows: Sequence[ActionRow]) -> str:
    """Return everything as text: no colours, every column whole."""
    console = Console(width=_ENDLESS, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table(rows))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def line(row: ActionRow) -> str:
    """Return one action as it is now, in one line."""
    why = f": {because(row)}" if because(row) else ""
    text = f"{words.date(latest(row))}  {row.id[:SHORT_ID]}  {row.action} of {row.target} {row.state}{why}"
    return words.printable(text)


_COLUMNS: Sequence[tuple[str, Callable[[ActionRow], str]]] = (
    ("PLANNED", lambda row: words.date(row.created_at)),
    ("ACTION", lambda row: row.action),
    ("TARGET", target_name),
    ("STATE", lambda row: row.state),
    ("TOOK", took),
    ("ALERT", lambda row: row.alert or words.DASH),
    ("POLICY", lambda row: row.policy),
    ("ID", lambda row: row.id[:SHORT_ID]),
    ("WHY", because),
)
