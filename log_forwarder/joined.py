"""The metrics of several processes in one text, each with its ``worker`` label.

Not their sums: a process that starts again begins at 0, which looks like a reset of its own series, and
would look like nonsense in a sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from compose_agent.selfmetrics import exposition, new_registry

LABEL = "worker"


def joined_text(texts: Mapping[str, str], *, openmetrics: bool) -> bytes:
    """Return texts in the Prometheus format, by worker, as one; that of the worker ``""`` gets no label."""
    registry = new_registry()
    registry.register(_Joined(texts))
    return exposition(registry, openmetrics=openmetrics)


class _Joined:
    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def describe(self) -> tuple[Metric, ...]:
        """Leave the names to the moment of collection."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family once, with the samples of all processes."""
        families: dict[str, Metric] = {}
        for worker, text in self._texts.items():
            for family in text_string_to_metric_families(text):
                mine = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                mine.samples += [
                    sample._replace(labels={**sample.labels, LABEL: worker} if worker else sample.labels)
                    for sample in family.samples
                ]
        yield from families.values()
