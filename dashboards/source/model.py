"""What a dashboard is made of, as plain values; ``render`` turns them into Grafana's JSON.

Places are never written down: panels of a row stand beside one another as wide as they say, and go on below
when the row is full, so that none can overlap another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["bargauge", "stat", "state-timeline", "table", "text", "timeseries"]
# Grafana's grid.
COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL query; ``legend`` names its series, ``exemplars`` shows the traces behind it as points."""

    expr: str
    legend: str = ""
    instant: bool = False
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """From ``value`` on a thing has this colour; None is the first step, from the least value on."""

    value: float | None
    color: str


@dataclass(frozen=True, slots=True)
class Word:
    """What is shown for a number, because a colour alone says nothing to many people."""

    value: float
    text: str
    color: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the field of the merged queries, its title, and how its values are shown.

    ``words`` show numbers as texts, ``colors`` give texts a colour; ``link`` is followed from a cell.
    """

    source: str
    title: str
    unit: str = ""
    width: int = 0
    words: Sequence[Word] = ()
    colors: Mapping[str, str] = field(default_factory=dict)
    gauge: bool = False
    steps: Sequence[Step] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One question and its answer.

    ``unit`` is one of Grafana's, ``may_be_empty`` says why a healthy host may show nothing here, ``text`` is
    the Markdown of a text panel, ``link`` leads on from a series or a value.
    """

    title: str
    description: str
    kind: Kind = "timeseries"
    queries: Sequence[Query] = ()
    unit: str = "short"
    width: int = 12
    height: int = 8
    may_be_empty: str = ""
    decimals: int | None = None
    least: float | None = None
    most: float | None = None
    steps: Sequence[Step] = ()
    words: Sequence[Word] = ()
    columns: Sequence[Column] = ()
    sort_by: str = ""
    link: str = ""
    text: str = ""
    dashed: Sequence[str] = ()
    colored_background: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading; a collapsed one asks its questions only when it is opened."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top: the values of a label.

    ``every`` is the regular expression that stands for all; an empty label counts with ``.*`` only.
    """

    name: str
    label: str
    values: str
    every: str = ".*"
    hidden: bool = False
    single: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Moments drawn over all graphs: when a series is there, or ``by_value``, in Unix milliseconds."""

    name: str
    color: str
    expr: str
    title: str
    text: str
    by_value: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page about one question; ``uid`` and the panels' titles are its address, and stay as they are."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    marks: Sequence[Mark] = ()
    since: str = "now-1h"
    actions_shown: bool = False
