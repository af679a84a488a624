"""Reading what containers ask of one area by their labels, with defaults for what they do not say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from compose_agent.config import Option
from compose_agent.config.resolve import default_value
from compose_agent.labels import PREFIX, read_labels


def read_area(
    labels: Mapping[str, str], area: str, options: Iterable[Option]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the labels of an area say, and what is wrong with them, both by key without the prefix.

    What no label says has its default; there are no values at all when there is no label of the area.
    """
    begin = f"{PREFIX}{area}."
    own = {label: text for label, text in labels.items() if label.startswith(begin)}
    if not own:
        return {}, {}
    known = {option.key: option for option in options}
    values, problems = read_labels(own, known.values())
    return {**{key: default_value(option) for key, option in known.items()}, **values}, problems
