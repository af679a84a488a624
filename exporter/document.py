"""The page docs/metrics.md, made from what is registered."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from compose_agent.role import ConfigState
from compose_agent.selfmetrics import rows
from exporter import measure
from exporter.collectors import built_in, checked
from exporter.families import CONTAINER_LABELS, Collector, Family, HostCollector
from exporter.selfmetrics import SelfMetrics

_HEAD = """\
# Metrics

What the exporter serves at `/metrics`, by collector. This page is generated; a test holds it current.

- Every series of a container has the labels {labels};
  everything else about it stands on `docker_container_info`. The column *labels* names what a family has
  beside them.
- A series whose value is unknown is absent, never 0.
- Names are those of the Prometheus text format. In OpenMetrics the lifecycle counters, marked with *, have a
  `_created` series too.
- The option `exporter.collector.NAME` switches a collector on or off; `/metrics?collect[]=NAME`, repeatable,
  asks for some of them only.
"""
_MEASURED = """\
## Of each scrape

How long each collector took and whether it gave everything; `usage` is the reading of the files or of the
Engine's stats API, on which the collectors of running containers draw.
"""
_OWN = """\
## Of the exporter itself

Kept from the start of the process. `process_…` are those of every Prometheus client library.
"""


def metrics_page() -> str:
    """Return the page, in Markdown."""
    labels = ", ".join(f"`{name}`" for name in CONTAINER_LABELS[:-1]) + f" and `{CONTAINER_LABELS[-1]}`"
    parts = [_HEAD.format(labels=labels)]
    parts += [_section(each) for each in checked([*built_in()])]
    parts += [f"{_MEASURED}\n{_table(map(_row, measure.FAMILIES))}", f"{_OWN}\n{_table(_own_rows())}"]
    return "\n".join(parts)


def _section(collector: Collector) -> str:
    """Return the section of one collector."""
    of = "the host" if isinstance(collector, HostCollector) else "each container"
    default = "on" if collector.default else "off"
    said = collector.help[0].upper() + collector.help[1:]
    head = f"## `{collector.name}`\n\n{said}. Series of {of}; {default} by default.\n"
    return f"{head}\n{_table(map(_row, collector.families))}"


def _row(family: Family) -> tuple[str, str, str, str]:
    mark = "*" if family.lifecycle else ""
    return (f"`{family.name}`{mark}", family.type, ", ".join(family.labels), family.help)


def _own_rows() -> Iterator[tuple[str, str, str, str]]:
    """Return a row for each family of the exporter's own registry."""
    metrics = SelfMetrics(ConfigState())
    metrics.observe_push("taken")
    metrics.observe_engine("ping", 0.0, "timeout")  # so that families with labels have a series to show them
    return rows(metrics.registry)


def _table(families: Iterable[tuple[str, str, str, str]]) -> str:
    lines = [("name", "type", "labels", "meaning"), ("---",) * 4, *families]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
