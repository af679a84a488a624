"""What a container asks for by its labels."""

from __future__ import annotations

from collections.abc import Mapping

from compose_agent.config import Option
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.config.resolve import default_value, read_value
from compose_agent.dockerd.model import Container
from log_forwarder.transforms.patterns import Pattern, named

LABEL_PREFIX = "compose-agent.logs."
# What a label says to switch off what the configuration asks for.
NOTHING = "none"
# What stands behind it is the name of a pattern that the sink "remediation" reads; here it is only checked.
TRIGGER = "trigger."
# Labels of the same prefix that others read.
_OTHERS = ("tags",)
# Whoever makes a container writes its labels; what is wrong with them goes into our log.
_LONGEST_VALUE = 2000


def hints_of(container: Container, options: Mapping[str, Option]) -> tuple[dict[str, object], list[str]]:
    """Return the values that a container's labels give, and a sentence for each label that cannot be used."""
    values: dict[str, object] = {}
    problems: list[str] = []
    for label, text in container.labels.items():
        if not label.startswith(LABEL_PREFIX):
            continue
        key = label.removeprefix(LABEL_PREFIX)
        try:
            if key.startswith(TRIGGER):
                trigger_of(key, text)
            elif key not in _OTHERS:
                values[key] = _value(key, text, options)
        except ValueError as error:
            problems.append(f"{name_of(container)}: label {label}: {error}")
    return values, problems


def trigger_of(key: str, text: str) -> tuple[str, Pattern | None]:
    """Return the name and the pattern of a label below :data:`LABEL_PREFIX`; ValueError if it has none.

    No pattern means that the container wants none of this name.
    """
    name = key.removeprefix(TRIGGER)
    if _is_nothing(_bounded(text)):
        return name, None
    return name, named(name, text)


def name_of(container: Container) -> str:
    """Return what to call a container in a sentence."""
    return f"container {container.name or container.short_id}"


def _value(key: str, text: str, options: Mapping[str, Option]) -> object:
    if key not in options:
        raise ValueError(f"there is no such label{_suggestion(key, options)}")
    option = options[key]
    if _is_nothing(_bounded(text)):
        return default_value(option)
    return read_value(option, text)


def _bounded(text: str) -> str:
    if len(text) > _LONGEST_VALUE:
        raise ValueError(f"expected at most {_LONGEST_VALUE} characters")
    return text


def _is_nothing(text: str) -> bool:
    return text.strip().lower() in ("", NOTHING)


def _suggestion(key: str, options: Mapping[str, Option]) -> str:
    found = nearest(key, [*options, *_OTHERS, f"{TRIGGER}NAME"])
    return did_you_mean(LABEL_PREFIX + found if found else None)
