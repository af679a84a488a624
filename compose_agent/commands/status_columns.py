"""The columns of ``status``: what they say, how they are coloured, which go first when it gets narrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from compose_agent.dockerd.overview import ContainerRow, words

STYLES: Mapping[words.Level, str] = {"ok": "green", "warn": "yellow", "bad": "bold red", "idle": "dim"}
# As the page's bars: near the limit, and as good as at it.
_HIGH, _FULL = 0.8, 0.95
# Between columns.
GAP = 2
# A longer name does not push out other columns: on a narrow terminal it is cut.
NAME_ROOM = 24

# Labels come from anybody; a name of Compose has at most 63 characters, an image with its digest 255.
_LONGEST_LABEL = 255

Cell = Callable[[ContainerRow, float], Text]


@dataclass(frozen=True, slots=True)
class Column:
    """A column; on a narrow terminal those of the highest ``rank`` go first. A cell gets row and time."""

    title: str
    rank: int
    cell: Cell
    right: bool = False


def _said(value: Callable[[ContainerRow], str], style: str = "") -> Cell:
    return lambda row, _: Text(words.printable(value(row)) or words.DASH, style)


def _label(value: Callable[[ContainerRow], str], style: str = "") -> Cell:
    def short(row: ContainerRow) -> str:
        text = value(row)
        return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"

    return _said(short, style)


def _cpu(row: ContainerRow, _: float) -> Text:
    return Text(words.percent(row.cpu_cores), _near(row.cpu_limit_ratio))


def _memory(row: ContainerRow, _: float) -> Text:
    return Text(words.size(row.memory_working_set_bytes), _near(row.memory_limit_ratio))


def _near(ratio: float | None) -> str:
    """Return the style for a share of a limit."""
    share = ratio or 0.0
    return "bold red" if share >= _FULL else "yellow" if share >= _HIGH else ""


def _state(row: ContainerRow, _: float) -> Text:
    kills = f", OOM x{row.oom_kills}" if row.oom_kills else ""
    return Text(words.state_words(row) + kills, STYLES[words.level(row)])


def _restarts(row: ContainerRow, _: float) -> Text:
    return Text(str(row.restarts), "yellow" if row.restarts else "dim")


def _uptime(row: ContainerRow, now: float) -> Text:
    return Text(words.lifetime(row, now))


def _network(row: ContainerRow) -> str:
    return _two(row.network_receive_bytes_per_second, row.network_transmit_bytes_per_second)


def _disk(row: ContainerRow) -> str:
    return _two(row.block_read_bytes_per_second, row.block_write_bytes_per_second)


def _two(first: float | None, second: float | None) -> str:
    return words.DASH if first is None and second is None else f"{words.rate(first)} / {words.rate(second)}"


def _pids(row: ContainerRow) -> str:
    return words.DASH if row.pids is None else str(row.pids)


NAME = Column("NAME", 0, _said(lambda row: row.name, "bold"))
COLUMNS = (
    NAME,
    Column("PROJECT", 9, _label(lambda row: row.project)),
    Column("SERVICE", 10, _label(lambda row: row.service)),
    Column("STATE", 1, _state),
    Column("CPU", 2, _cpu, right=True),
    Column("CPU LIMIT", 8, _said(lambda row: words.plain_percent(row.cpu_limit_cores), "dim"), right=True),
    Column("MEMORY", 3, _memory, right=True),
    Column("MEM LIMIT", 6, _said(lambda row: words.plain_size(row.memory_limit_bytes), "dim"), right=True),
    Column("NET IN / OUT", 7, _said(_network), right=True),
    Column("DISK READ / WRITE", 12, _said(_disk), right=True),
    Column("PIDS", 11, _said(_pids), right=True),
    Column("RESTARTS", 5, _restarts, right=True),
    Column("UPTIME", 4, _uptime, right=True),
    Column("IMAGE", 13, _label(lambda row: row.image, "dim")),
    Column("ID", 14, _said(lambda row: row.id, "dim")),
)


@dataclass(frozen=True, slots=True)
class Filled:
    """A column with its cells, and how many characters wide it is."""

    column: Column
    cells: Sequence[Text]

    @property
    def width(self) -> int:
        """The width that shows every cell whole."""
        return max([len(self.column.title), *(cell.cell_len for cell in self.cells)])


def filled(rows: Sequence[ContainerRow], now: float) -> list[Filled]:
    """Return every column with its cells; ``now`` is Unix time."""
    return [Filled(column, [column.cell(row, now) for row in rows]) for column in COLUMNS]


def fitting(columns: Sequence[Filled], room: int) -> list[Filled]:
    """Return the columns that fit into ``room`` characters, the name cut if it must be."""
    kept = list(columns)
    while len(kept) > 1 and sum(_least(each) + GAP for each in kept) > room + GAP:
        kept.remove(max(kept, key=lambda each: each.column.rank))
    return kept


def _least(filled: Filled) -> int:
    return min(filled.width, NAME_ROOM) if filled.column is NAME else filled.width
