"""What the manual at ``/docs`` lists: made from the same definitions as what it describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from compose_agent.dockerd.overview import ContainerRow, HostOverview, Overview
from compose_agent.dockerd.overview.model import meanings
from compose_agent.dockerd.overview.order import COLUMNS as SORT_KEYS
from compose_agent.dockerd.overview.order import STATE_FILTERS
from exporter.collectors import registered
from exporter.families import Family
from exporter.page.columns import COLUMNS, Column


@dataclass(frozen=True, slots=True)
class Manual:
    """Columns of the table, keys of the JSON form, what the query string takes, metric families."""

    columns: Sequence[Column]
    keys: Mapping[str, Mapping[str, str]]
    sort_keys: Sequence[str]
    states: Sequence[str]
    metrics: Mapping[str, Sequence[Family]]


@cache
def manual() -> Manual:
    """Return everything that the manual lists."""
    return Manual(
        columns=COLUMNS,
        keys={
            "the document": meanings(Overview),
            "host": meanings(HostOverview),
            "containers[]": meanings(ContainerRow),
        },
        sort_keys=tuple(SORT_KEYS),
        states=STATE_FILTERS,
        metrics={each.name: each.families for each in registered()},
    )
