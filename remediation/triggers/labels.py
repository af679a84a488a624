"""Reading what containers ask of triggers by their labels, ``compose-agent.AREA.KEY``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from compose_agent.config import Option
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.config.resolve import default_value, read_value

PREFIX = "compose-agent."
# Whoever makes a container writes its labels; what is wrong with them goes into our log.
_LONGEST_VALUE = 2000


def read_area(
    labels: Mapping[str, str], area: str, options: Iterable[Option]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the labels of an area say, and what is wrong with them, both by key without the prefix.

    What no label says has its default; there are no values at all when there is no label of the area.
    """
    known = {option.key: option for option in options}
    begin = f"{PREFIX}{area}."
    given = {label.removeprefix(PREFIX): text for label, text in labels.items() if label.startswith(begin)}
    values = {key: default_value(option) for key, option in known.items()} if given else {}
    problems: dict[str, str] = {}
    for key, text in given.items():
        try:
            values[key] = _value(key, text, known)
        except ValueError as error:
            problems[key] = str(error)
    return values, problems


def _value(key: str, text: str, known: Mapping[str, Option]) -> Any:
    if key not in known:
        found = nearest(key, known)
        raise ValueError(f"there is no such label{did_you_mean(PREFIX + found if found else None)}")
    if len(text) > _LONGEST_VALUE:
        raise ValueError(f"expected at most {_LONGEST_VALUE} characters")
    return read_value(known[key], text)
