"""The ``filters`` of lists and of the event stream."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from compose_agent.dockerd.fake.errors import ApiError

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.dialect import Dialect
    from compose_agent.dockerd.fake.events import Event
    from compose_agent.dockerd.fake.model import Container

Filters = dict[str, list[str]]
_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTH = ("none", "starting", "healthy", "unhealthy")
_LIST_KEYS = frozenset(
    {"ancestor", "before", "exited", "expose", "health", "id", "isolation", "is-task", "label", "name"}
    | {"network", "publish", "since", "status", "volume"}
)


def parse_filters(text: str, dialect: Dialect) -> Filters:
    """Return filters out of their JSON, in both shapes the API takes (lists, and maps to true)."""
    if not text:
        return {}
    try:
        parsed = json.loads(text)
        return {key: _values(values) for key, values in parsed.items()}
    except (ValueError, AttributeError, TypeError):
        if dialect.modern:
            raise ApiError(400, "invalid filter") from None
        raise ApiError(500, f"invalid character '{text[0]}' looking for beginning of value") from None


def check_list_filters(filters: Filters, dialect: Dialect) -> None:
    """Raise 400 for a filter, or a value of one, that the list of containers does not know."""
    for key in filters.keys() - _LIST_KEYS:
        raise ApiError(400, dialect.invalid_filter(key))
    for key, choices in (("status", _STATES), ("health", _HEALTH)):
        for value in filters.get(key, []):
            if value not in choices:
                raise ApiError(400, dialect.invalid_filter(key, value, choices))


def container_matches(container: Container, filters: Filters) -> bool:
    """Tell whether a container passes: any value of each key, but all labels."""
    health = container.state.health.status if container.state.health else "none"
    return (
        _any(filters, "id", container.id.startswith)
        and _any(filters, "name", lambda value: _name_matches(container.name, value))
        and _any(filters, "status", lambda value: value == container.state.status)
        and _any(filters, "health", lambda value: value == health)
        and _any(filters, "exited", lambda value: value == str(container.state.exit_code))
        and _any(filters, "network", lambda value: value in container.networks)
        and _any(filters, "ancestor", lambda value: value in (container.image, container.image_id))
        and _labels_match(container.labels, filters)
    )


def event_matches(event: Event, filters: Filters) -> bool:
    """Tell whether an event passes; ``event=health_status`` also means all that begin so."""
    plain = event.action.partition(":")[0]
    return (
        _any(filters, "type", lambda value: value == event.kind)
        and _any(filters, "event", lambda value: value in (event.action, plain))
        and _any(filters, "container", lambda value: _about(event, "container", value))
        and _any(filters, "image", lambda value: value == event.attributes.get("image"))
        and _any(filters, "network", lambda value: _about(event, "network", value))
        and _any(filters, "volume", lambda value: _about(event, "volume", value))
        and _labels_match(event.attributes, filters)
    )


def _values(values: Any) -> list[str]:
    return [str(value) for value in values]


def _any(filters: Filters, key: str, matches: Any) -> bool:
    return key not in filters or any(matches(value) for value in filters[key])


def _labels_match(labels: dict[str, str], filters: Filters) -> bool:
    for wanted in filters.get("label", []):
        key, equals, value = wanted.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _name_matches(name: str, pattern: str) -> bool:
    try:
        return bool(re.search(pattern, name) or re.search(pattern, f"/{name}"))
    except re.error:
        return False


def _about(event: Event, kind: str, wanted: str) -> bool:
    if event.kind != kind:
        return False
    return event.actor.startswith(wanted) or event.attributes.get("name", "").startswith(wanted)
