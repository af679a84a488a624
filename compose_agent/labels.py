"""The labels on containers that speak to the agent: ``compose-agent.<area>.<key>``.

Whoever reads some declares them as options. A key that ends with :data:`NAMED` stands for a family, whose
members are named by whoever sets the label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from compose_agent.config import Option
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.config.resolve import read_value

PREFIX = "compose-agent."
NAMED = ".NAME"
# The first words behind the prefix, whoever reads them.
AREAS = ("logs", "remediate", "scale", "failover", "probe", "exec")
# Written by the agent itself on the replicas that it makes, with the id of the request: no setting.
REQUEST = f"{PREFIX}request"
# Whoever makes a container writes its labels; what is wrong with them goes into our log.
_LONGEST_VALUE = 2000


def read_labels(
    labels: Mapping[str, str], options: Iterable[Option]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a container's labels say, and what is wrong with them, both by key without the prefix.

    Labels of areas that ``options`` have nothing of are somebody else's, except those of no area at all.
    """
    known = {option.key: option for option in options}
    areas = {key.partition(".")[0] for key in known}
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for label, text in labels.items():
        key = label.removeprefix(PREFIX)
        if label in (key, REQUEST) or key.partition(".")[0] in set(AREAS) - areas:
            continue
        try:
            values[key] = read_value(_option(key, known), _bounded(text))
        except ValueError as error:
            problems[key] = str(error)
    return values, problems


def _option(key: str, known: Mapping[str, Option]) -> Option:
    family = key.partition(".")[0] + NAMED
    if key in known:
        return known[key]
    if family in known and len(key) >= len(family) - len(NAMED) + 2:
        return known[family]
    found = nearest(key, [*known, *AREAS])
    raise ValueError(f"there is no such label{did_you_mean(PREFIX + found if found else None)}")


def _bounded(text: str) -> str:
    if len(text) > _LONGEST_VALUE:
        raise ValueError(f"expected at most {_LONGEST_VALUE} characters")
    return text
