"""PromQL queries that are asked on a schedule, and the section of the policies file that names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from compose_agent.config import Option, kinds
from compose_agent.config.yamlfile import Node
from remediation.policies.reading import Reading, values_of

SECTION = "queries"
_LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, asked ``every`` so many seconds; a series fires once it was there ``held`` seconds.

    ``labels`` are added to those of each series.
    """

    name: str
    promql: str
    every: float = 30.0
    held: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        option.key: option
        for option in (
            Option("query", kinds.string, None, "The expression; each series that it gives is a signal."),
            Option("every", kinds.positive_duration, "30s", "How often Prometheus is asked."),
            Option("for", kinds.duration, "0s", "How long a series must be there before it is a signal."),
            Option(_LABELS, kinds.string, None, "Labels that are added to those of each series."),
        )
    }
)


def read_queries(reading: Reading, node: Node | None) -> tuple[Query, ...]:
    """Return the queries of a section, by name; what is wrong is added to the reading's problems."""
    entries = reading.named(node, SECTION)
    return tuple(_query(reading, name, each) for name, each in entries.entries.items())


def _query(reading: Reading, name: str, node: Node) -> Query:
    path = f"{SECTION}.{name}"
    fields = reading.fields(node, path, OPTIONS)
    values = values_of(fields, {key: option for key, option in OPTIONS.items() if key != _LABELS})
    if not values["query"]:
        fields.problem("query", f"{path}.query is missing, expected a PromQL expression")
    labels = dict(reading.texts(fields, path, _LABELS))
    return Query(name, values["query"] or "", values["every"], values["for"], labels)
