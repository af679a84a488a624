"""Exposition as prometheus-client understands it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def families(text: str) -> list[Metric]:
    """Return the families in a text of either format; an OpenMetrics text ends with its mark."""
    parse = parse_openmetrics if text.endswith("# EOF\n") else parse_text
    return list(parse(text))


def series(text: str) -> Series:
    """Return the value of each series; one that is there twice fails."""
    found: Series = {}
    for family in families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = float(sample.value)
    return found


def values(text: str, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Return the values of one metric by some of its labels."""
    return {
        tuple(dict(pairs)[label] for label in labels): value
        for (metric, pairs), value in series(text).items()
        if metric == name
    }


def names(text: str) -> list[str]:
    """Return the names of families in the order of their TYPE lines."""
    return [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]


def without(lines: Iterable[str], *words: str) -> list[str]:
    """Return the lines that have none of the words in them."""
    return [line for line in lines if not any(word in line for word in words)]
