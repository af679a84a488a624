"""Sorting and filtering rows, as a query string or a flag asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from compose_agent.dockerd.model import STATES
from compose_agent.dockerd.overview.model import ContainerRow
from compose_agent.dockerd.overview.words import LEVELS, level

Key = Callable[[ContainerRow], Any]

_DIGITS = re.compile(r"(\d+)")


# A page is sorted every 2 s for each viewer, by names that hardly ever change.
@lru_cache(maxsize=4096)
def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key by which ``web-2`` comes before ``web-10``."""
    parts = _DIGITS.split(text.casefold())
    # Odd parts are digits, compared by length and text: int() refuses very long ones.
    numbered = ((n % 2, part.lstrip("0") if n % 2 else part) for n, part in enumerate(parts) if part)
    return tuple([(0, len(part), part) if digits else (1, 0, part) for digits, part in numbered])


def _sum(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _project(row: ContainerRow) -> Any:
    # Containers outside Compose come last, as a group of their own.
    return (
        not row.project,
        natural(row.project),
        natural(row.service),
        natural(row.number),
        natural(row.name),
    )


# A key that gives None puts the row last, whichever the direction.
COLUMNS: dict[str, Key] = {
    "project": _project,
    "name": lambda row: natural(row.name),
    "service": lambda row: natural(row.service) if row.service else None,
    "id": lambda row: row.id,
    "image": lambda row: natural(row.image),
    "state": lambda row: (LEVELS.index(level(row)), row.state, row.health),
    "health": lambda row: row.health if row.health != "none" else None,
    "exit_code": lambda row: row.exit_code,
    "restarts": lambda row: row.restarts,
    "oom_kills": lambda row: row.oom_kills,
    "cpu": lambda row: row.cpu_cores,
    "cpu_limit": lambda row: row.cpu_limit_ratio,
    "memory": lambda row: row.memory_working_set_bytes,
    "memory_limit": lambda row: row.memory_limit_ratio,
    "network": lambda row: _sum(row.network_receive_bytes_per_second, row.network_transmit_bytes_per_second),
    "receive": lambda row: row.network_receive_bytes_per_second,
    "transmit": lambda row: row.network_transmit_bytes_per_second,
    "block": lambda row: _sum(row.block_read_bytes_per_second, row.block_write_bytes_per_second),
    "read": lambda row: row.block_read_bytes_per_second,
    "write": lambda row: row.block_write_bytes_per_second,
    "pids": lambda row: row.pids,
    "uptime": lambda row: row.uptime_seconds,
    "started": lambda row: row.started_timestamp_seconds,
    "finished": lambda row: row.finished_timestamp_seconds,
}
# What ``state`` takes beside the states: health, and everything that somebody should look at.
STATE_FILTERS = (*STATES, "unhealthy", "problem")


@dataclass(frozen=True, slots=True)
class Order:
    """A column to sort by; as text ``cpu`` or, the other way round, ``-cpu``."""

    column: str = "project"
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> Order:
        """Return the order that ``text`` names; ValueError with the valid names for any other text."""
        order = cls(text.removeprefix("-"), text.startswith("-"))
        if order.column not in COLUMNS:
            raise ValueError(f"cannot sort by '{order.column}': choose one of {', '.join(COLUMNS)}")
        return order

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.column}"


@dataclass(frozen=True, slots=True)
class View:
    """Which rows are wanted and in which order.

    ``text`` is a set of words that must all occur in what is searched; ``state`` is one of
    :data:`STATE_FILTERS` or empty.
    """

    order: Order = Order()
    text: str = ""
    state: str = ""

    def of(self, rows: Iterable[ContainerRow]) -> tuple[ContainerRow, ...]:
        """Return the rows that are wanted, in order."""
        words = self.text.casefold().split()
        wanted = [row for row in rows if in_state(row, self.state) and mentions(row, words)]
        return tuple(in_order(wanted, self.order))


def in_order(rows: Iterable[ContainerRow], order: Order) -> list[ContainerRow]:
    """Return the rows sorted; equal ones by project and name, those without a value last."""
    key = COLUMNS[order.column]
    keyed = [(key(row), row) for row in sorted(rows, key=_project)]
    known = [pair for pair in keyed if pair[0] is not None]
    if order != Order():
        known.sort(key=lambda pair: pair[0], reverse=order.descending)
    return [row for _, row in known] + [row for value, row in keyed if value is None]


def in_state(row: ContainerRow, state: str) -> bool:
    """Tell whether the row passes a filter by state."""
    if state == "problem":
        return level(row) in ("bad", "warn")
    if state == "unhealthy":
        return row.running and row.health == state
    return not state or row.state == state


def mentions(row: ContainerRow, words: Iterable[str]) -> bool:
    """Tell whether every word (in lower case) occurs in the row's name, image, project, service or state."""
    health = row.health if row.running else ""
    searched = (row.name, row.image, row.project, row.service, row.state, health, row.id)
    whole = "\n".join(searched).casefold()
    return all(word in whole for word in words)
