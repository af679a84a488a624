"""Actions as a table for the terminal, as plain text for a pipe, and as single lines to follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compose_agent.commands.status_columns import GAP, STYLES, printable
from compose_agent.dockerd.overview import words
from remediation.history import ActionRow
from remediation.model import State
from remediation.reasons import meaning
from remediation.why import SHORT_ID

# Wider than any table; rich wants to know a width.
_ENDLESS = 1_000_000
_LEVELS: Mapping[str, words.Level] = {
    State.PLANNED: "warn",
    State.EXECUTING: "warn",
    State.VERIFYING: "warn",
    State.DONE: "ok",
    State.FAILED: "bad",
    State.ESCALATED: "bad",
    State.SUPPRESSED: "idle",
}


def table(rows: Sequence[ActionRow]) -> Table:
    """Return a table; what says why comes last and is cut where the terminal ends."""
    found = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for title, _ in _COLUMNS:
        found.add_column(title, no_wrap=True, overflow="ellipsis")
    for row in rows:
        cells = [Text(printable(cell(row))) for _, cell in _COLUMNS]
        cells[3].stylize(STYLES[_LEVELS.get(row.state, "warn")])
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
    latest = max(row.created_at, row.started_at, row.acted_at, row.ended_at)
    why = f": {_why(row)}" if _why(row) else ""
    text = f"{words.date(latest)}  {row.id[:SHORT_ID]}  {row.action} of {row.target} {row.state}{why}"
    return printable(text)


def _took(row: ActionRow) -> str:
    """Return how long it took from the beginning to the end of the action itself."""
    return words.duration(row.acted_at - row.started_at) if row.started_at and row.acted_at else words.DASH


def _why(row: ActionRow) -> str:
    """Return the reason in words, or what is known of the outcome."""
    because = meaning(row.reason).words if row.reason else ""
    return ": ".join(filter(None, (because, row.detail)))


_COLUMNS: Sequence[tuple[str, Callable[[ActionRow], str]]] = (
    ("PLANNED", lambda row: words.date(row.created_at)),
    ("ACTION", lambda row: row.action),
    ("TARGET", lambda row: row.target.partition(":")[2]),
    ("STATE", lambda row: row.state),
    ("TOOK", _took),
    ("ALERT", lambda row: row.alert or words.DASH),
    ("POLICY", lambda row: row.policy),
    ("ID", lambda row: row.id[:SHORT_ID]),
    ("WHY", _why),
)
